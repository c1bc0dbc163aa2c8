"""The server's clock, which tests may move."""

import time
from datetime import UTC, datetime
from email.utils import formatdate


def iso(epoch: float) -> str:
    """Return *epoch* as the platform writes dates: UTC, whole seconds, Z (api §1.5)."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Clock:
    """Wall time plus an offset in seconds."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        """Seconds since the epoch, as this server sees them."""
        return time.time() + self.offset

    def stamp(self) -> str:
        """The present moment as the platform writes dates."""
        return iso(self.now())

    def http_date(self, skew: float = 0.0) -> str:
        """The present moment as a ``Date`` header, moved by *skew* seconds."""
        return formatdate(self.now() + skew, usegmt=True)
