"""Feeds over HTTP(S): conditional, repeated where that helps, within limits, and told apart from what is no feed."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Final, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

import tcetl
from tcetl.errors import FeedError
from tcetl.feeds.source import MissingError, Opener, Spooled
from tcetl.feeds.sources.fetching import SECRET, Fetching, shown
from tcetl.feeds.sources.pinning import PublicOnly, refuse_private
from tcetl.reasons import reason_of

_CHUNK: Final = 256 << 10
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_RETRY_AFTER: Final = 300.0
_backoff: Final = wait_random_exponential(multiplier=0.5, max=30, min=0.2)
_PORTS: Final = {"http": 80, "https": 443}
_HINTS: Final = {
    401: "the provider wants a key or a login: see the feed's homepage",
    403: "the provider refuses: is the key right, and is the feed fetched too often?",
    404: "the provider has moved or closed the feed: look at its homepage",
    410: "the provider has closed the feed: look at its homepage",
    429: "fetched too often: see how often the provider allows it",
}


class _PassingError(Exception):
    """Another attempt may help; ``wait`` is how many seconds the server asked for."""

    def __init__(self, reason: str, *, status: int = 0, wait: float | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.wait = wait


class Answer(NamedTuple):
    """What a server answered: its headers, and how to open the body, or None when it says that nothing is new."""

    headers: Mapping[str, str]
    body: Opener | None


class Http:
    """Asks for what stands at addresses; one for all requests of the feed at *home*.

    What identifies us (key, login, headers) is sent to the server of *home* only, wherever its answers lead.
    """

    def __init__(self, home: str, how: Fetching) -> None:
        self.how = how
        try:
            self._home = _origin(home)
        except ValueError:
            raise FeedError(f"{shown(home)} is no address that can be asked", hint="check the URL") from None
        self._session = requests.Session()
        self._session.trust_env = how.proxies is None
        self._session.headers["User-Agent"] = f"tcetl/{tcetl.__version__}"
        self._session.cookies = RequestsCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
        adapter = HTTPAdapter if how.allow_private else PublicOnly
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, adapter(pool_connections=4, pool_maxsize=4))

    def get(self, address: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Return what stands at *address*, copied to a temporary file whole.

        Args:
            address: An http(s) URL, perhaps with ``{secret}`` in it.
            headers: Headers of this request, such as conditions.

        Raises:
            MissingError: there is nothing there.
            FeedError: it cannot be had, or is larger or slower than allowed; the message names the address without
                query and key.
        """
        retrying = Retrying(
            stop=stop_after_attempt(1 + self.how.retries),
            wait=_wait,
            retry=retry_if_exception_type(_PassingError),
            reraise=True,
        )
        try:
            return retrying(self._attempt, address, dict(headers or {}))
        except _PassingError as error:
            hint = _HINTS.get(error.status, "is it reachable from here? Try again later")
            raise FeedError(f"{shown(address)} cannot be fetched: {error}", hint=hint) from None

    def _attempt(self, address: str, headers: Mapping[str, str]) -> Answer:
        location = shown(address)
        with self._follow(address, headers) as response:
            if response.status_code == 304:
                return Answer(response.headers, None)
            return Answer(response.headers, Spooled(self._chunks(response, location)))

    def _follow(self, address: str, headers: Mapping[str, str]) -> requests.Response:
        """Return the answer at the end of all redirects."""
        location, url = shown(address), self._url(address)
        for _ in range(1 + self.how.max_redirects):
            at_home = _origin(url) == self._home
            own = {**headers, **self.how.headers, **self._key()} if at_home else headers
            response = self._send(url, own, self.how.login if at_home else None, location)
            if response.status_code not in _REDIRECTS:
                self._check(response, location)
                return response
            response.close()
            url, before = _target(response, location), url
            if urlsplit(before).scheme == "https" and urlsplit(url).scheme != "https":
                raise FeedError(f"{location} redirects from https to {urlsplit(url).scheme or 'nowhere'}")
        raise FeedError(f"{location} redirects more than {self.how.max_redirects} times")

    def _send(
        self, url: str, headers: Mapping[str, str], login: tuple[str, str] | None, location: str
    ) -> requests.Response:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise FeedError(f"{location} leads to an address that is not http or https")
        if not self.how.allow_private:
            refuse_private(parts.hostname)
        try:
            return self._session.get(
                url,
                headers=headers,
                auth=login,
                stream=True,
                allow_redirects=False,
                timeout=self.how.timeout,
                verify=self.how.verify,
                proxies=dict(self.how.proxies) if self.how.proxies is not None else None,
            )
        except requests.exceptions.SSLError as error:
            raise FeedError(
                f"the certificate of {parts.hostname} is not trusted: {reason_of(error)}",
                hint="verify takes the file of the CA that signed it",
            ) from None
        except (ValueError, OSError) as error:  # all errors of requests are OSErrors, some ValueErrors as well
            if isinstance(error, ValueError):
                raise FeedError(
                    f"{location} is or leads to no address that can be asked", hint="check the URL"
                ) from None
            raise _PassingError(reason_of(error)) from None

    def _check(self, response: requests.Response, location: str) -> None:
        """Raise what a status that is no success means."""
        status = response.status_code
        if status in (200, 206, 304):
            return
        said = f"{status} {response.reason or ''}".strip()
        wait = _retry_after(response)
        response.close()
        if status in _PASSING and (wait or 0) <= _LONGEST_RETRY_AFTER:
            raise _PassingError(f"the server says {said}", status=status, wait=wait)
        kind = MissingError if status in (404, 410) else FeedError
        later = f"come back in {wait:.0f} s" if wait else ""
        raise kind(f"{location} cannot be fetched: the server says {said}", hint=later or _HINTS.get(status, ""))

    def _chunks(self, response: requests.Response, location: str) -> Iterator[bytes]:
        began, size = time.monotonic(), 0
        try:
            while chunk := response.raw.read1(_CHUNK, decode_content=True):
                size += len(chunk)
                if size > self.how.max_bytes:
                    raise FeedError(
                        f"{location} answers with more than {self.how.max_bytes:,} bytes",
                        hint="allow for more with max_bytes",
                    )
                if time.monotonic() - began > self.how.max_seconds:
                    raise FeedError(
                        f"{location} took more than {self.how.max_seconds:g} s for {size:,} bytes",
                        hint="allow for more with max_seconds",
                    )
                yield chunk
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _PassingError(f"{reason_of(error)} after {size:,} bytes") from None

    def _url(self, address: str) -> str:
        """Return the URL to ask for, with the key in its place."""
        if urlsplit(address).username is not None:
            raise FeedError(f"{shown(address)} has a user name in it", hint="give user name and password as login")
        if SECRET not in address:
            return address
        if not self.how.secret:
            raise FeedError(f"{shown(address)} needs a key", hint=f"it takes the place of {SECRET}")
        return address.replace(SECRET, quote(self.how.secret, safe=""))

    def _key(self) -> Mapping[str, str]:
        name, secret = self.how.secret_header, self.how.secret
        if name is None or secret is None:
            return {}
        return {name: f"Bearer {secret}" if name.lower() == "authorization" and " " not in secret else secret}


def _target(response: requests.Response, location: str) -> str:
    """Return where an answer redirects to."""
    try:
        target = urljoin(response.url, response.headers.get("Location", ""))
        _origin(target)
    except ValueError:
        raise FeedError(f"{location} redirects to what is no address") from None
    return target


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _retry_after(response: requests.Response) -> float | None:
    said = response.headers.get("Retry-After", "").strip()
    if said.isdecimal():
        return float(said)
    try:
        return max((parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds(), 0.0) if said else None
    except (ValueError, TypeError):
        return None


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait if isinstance(error, _PassingError) else None
    return _backoff(state) if asked is None else asked
