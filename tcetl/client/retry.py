"""Which failures are worth another attempt, and when; and the pace of requests."""

import threading
import time
from typing import Final

from tenacity import RetryCallState, wait_random_exponential

from tcetl.errors import ApiError, ConnectionFailedError, TlsError

LONGEST_RETRY_AFTER: Final = 300.0
"""Seconds we wait in place when the platform asks us to; above that the caller is told instead."""

PASSING: Final = frozenset({500, 502, 503, 504})
# Said with a status that looks like a passing one.
_PERMANENT: Final = ("not been licensed", "batchJobEnabled", "Could not find resource for relative")

_backoff: Final = wait_random_exponential(multiplier=0.5, max=30, min=0.2)


def may_repeat(error: BaseException, *, safe: bool) -> bool:
    """True when *error* may pass and its request can be sent again.

    Args:
        error: What the attempt raised.
        safe: Doing the request twice does no harm. Otherwise only those are repeated that the platform did not take.
    """
    if isinstance(error, ConnectionFailedError):
        return not isinstance(error, TlsError) and (safe or not error.outcome_unknown)
    if not isinstance(error, ApiError) or any(words in error.message for words in _PERMANENT):
        return False
    if (error.retry_after or 0) > LONGEST_RETRY_AFTER:
        return False
    turned_away = error.status == 429 or (error.status == 503 and error.retry_after is not None)
    return turned_away or (safe and error.status in PASSING)


def wait(state: RetryCallState) -> float:
    """Seconds to the next attempt: what the platform asked for, or a random, doubling back-off."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, ApiError) and error.retry_after is not None:
        return error.retry_after
    return _backoff(state)


class Pacer:
    """Paces the requests of all threads: at most *rate* a second, and none while the platform asks us to wait."""

    def __init__(self, rate: float | None) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._free_at = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Block until the next request may go."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._free_at)
            self._free_at = turn + self._interval
        if turn > now:
            time.sleep(turn - now)

    def hold(self, seconds: float) -> None:
        """Let nothing through for *seconds*."""
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic() + seconds)
