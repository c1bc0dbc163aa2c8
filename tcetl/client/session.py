"""One connection to the REST API: signed, paced, repeated where that is safe, with failures as tcetl's errors."""

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self, TypeAlias
from urllib.parse import quote, urlencode

import msgspec
import requests
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

import tcetl
from tcetl.client.answers import error_of, is_html
from tcetl.client.auth import Signer
from tcetl.client.failures import failure_of
from tcetl.client.retry import Pacer, may_repeat, wait
from tcetl.config import Settings
from tcetl.errors import ApiError, ConfigError

if TYPE_CHECKING:
    from upath import UPath

logger = logging.getLogger(__name__)

CONNECTIONS: Final = 16
"""Connections kept open for reuse; more threads than this work, but open new ones."""

_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})  # RFC 9110 section 9.2.2

Body: TypeAlias = "bytes | Path | UPath"


@dataclass(frozen=True, slots=True)
class _Call:
    """One request as the caller meant it: all that each attempt is made from."""

    method: str
    path: str
    url: str
    body: "Body | None"
    headers: dict[str, str]
    stream: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Session:
    """Sends requests to one instance. Safe to share between threads: it keeps no state per request."""

    def __init__(self, settings: Settings) -> None:
        if isinstance(settings.verify, str) and not Path(settings.verify).exists():
            raise ConfigError(f"the CA bundle {settings.verify} does not exist", hint="see TC_VERIFY_TLS or verify_tls")
        self.settings = settings
        self._signer = Signer(settings)
        self._pacer = Pacer(settings.rate_limit)
        self._http = requests.Session()
        self._http.headers["User-Agent"] = f"tcetl/{tcetl.__version__}"
        # The API needs no cookies, and a cookie jar is the one part of a requests.Session that threads would share.
        self._http.cookies = RequestsCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("https://", "http://"):
            self._http.mount(scheme, HTTPAdapter(pool_connections=2, pool_maxsize=CONNECTIONS))

    def __repr__(self) -> str:
        return f"Session({self.settings.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        data: "Body | None" = None,
        content_type: str | None = None,
        stream: bool = False,
        safe_to_repeat: bool | None = None,
    ) -> requests.Response:
        """Send one request and return its successful (2xx) answer.

        Args:
            method: HTTP method.
            path: Path below the base URL, such as ``/v2/owners``, its variable segments percent-encoded.
            params: Query parameters; None values are left out, booleans become ``true`` and ``false``, lists repeat.
            json: Body as a value that becomes JSON.
            data: Body as bytes, or the file that holds it, which is streamed.
            content_type: Content type of *data*; ``application/octet-stream`` when None.
            stream: Return after the headers; the caller reads and closes the answer.
            safe_to_repeat: Sending the request twice does no harm. By default what HTTP calls idempotent: all but POST.

        Raises:
            ApiError: The platform refused; the subclass says what.
            ConnectionFailedError: No answer came, after the retries that were allowed.
            ConfigError: The URL, proxy or credentials cannot be used in a request.
        """
        headers = {}
        if json is not None:
            data, content_type = msgspec.json.encode(json), "application/json"
        if data is not None:
            headers["Content-Type"] = content_type or "application/octet-stream"
        call = _Call(method.upper(), path, self._url(path, params), data, headers, stream)
        safe = call.method in _IDEMPOTENT if safe_to_repeat is None else safe_to_repeat
        retrying = Retrying(
            stop=stop_after_attempt(1 + self.settings.retries),
            wait=wait,
            retry=retry_if_exception(partial(may_repeat, safe=safe)),
            before_sleep=self._before_repeat,
            reraise=True,
        )
        return retrying(self._attempt, call)

    def close(self) -> None:
        """Close the connections; the session can still be used and opens new ones."""
        self._http.close()

    def _url(self, path: str, params: Mapping[str, Any] | None) -> str:
        query = {name: _text(value) for name, value in (params or {}).items() if value is not None}
        query["createActivityLog"] = _text(self.settings.activity_log)
        # %20 for a space, as in the platform's samples.
        return f"{self.settings.base_url}{path}?{urlencode(query, doseq=True, quote_via=quote)}"

    def _attempt(self, call: _Call) -> requests.Response:
        response = self._send(call)
        if response.status_code == 401 and self._signer.learn_clock(response):
            response.close()
            response = self._send(call)
        if 200 <= response.status_code < 300 and not is_html(response):
            return response
        with response:
            error = self._refusal(response, call)
        if error.status == 429 and may_repeat(error, safe=False):
            self._pacer.hold(error.retry_after or 0)
        raise error

    def _refusal(self, response: requests.Response, call: _Call) -> ApiError:
        try:
            return error_of(response, self._signer.redact)
        except requests.RequestException as error:  # reading the rest of a streamed refusal failed
            raise failure_of(error, str(call), self.settings.host) from None

    def _send(self, call: _Call) -> requests.Response:
        self._pacer.wait()
        settings = self.settings
        with contextlib.ExitStack() as stack:
            body: bytes | BinaryIO | None
            if call.body is None or isinstance(call.body, bytes):
                body = call.body
            else:
                body = stack.enter_context(call.body.open("rb"))
            try:
                response = self._http.request(
                    call.method,
                    call.url,
                    data=body,
                    headers=call.headers,
                    auth=self._signer,
                    timeout=settings.timeout,
                    verify=settings.verify,
                    proxies={"http": settings.proxy, "https": settings.proxy} if settings.proxy else None,
                    stream=call.stream,
                    allow_redirects=False,  # a redirect would carry our signature to where it was not meant for
                )
            except (requests.RequestException, ValueError) as error:
                raise failure_of(error, str(call), settings.host) from None
        logger.debug("%s: %d in %.3f s", call, response.status_code, response.elapsed.total_seconds())
        return response

    def _before_repeat(self, state: RetryCallState) -> None:
        assert state.outcome is not None
        assert state.next_action is not None
        logger.warning(
            "%s; trying again in %.1f s (attempt %d of %d)",
            state.outcome.exception(),
            state.next_action.sleep,
            state.attempt_number + 1,
            1 + self.settings.retries,
        )


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
