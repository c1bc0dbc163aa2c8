"""From HTTP answers to values or the error family.

Answers come in several dresses: v2 ``{"status":"Success","data":…}``, bare documents, and failures as v2 envelopes,
``{"status":"Invalid","description":…}`` or plain text. A proxy or a wrong base URL answers with an HTML page.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from tcetl.errors import NOT_JSON, ApiError, AuthenticationError, NotFoundError, OwnerNotFoundError

if TYPE_CHECKING:
    import requests

T = TypeVar("T")

MESSAGE_LIMIT: Final = 500
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]+")
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_NOT_THE_API: Final = (
    "check the API URL: it ends in /api on most instances, and a login page or proxy may be in between"
)
_FAILED: Final = frozenset({"Failure", "Error", "Invalid"})

# What the platform says → what to do about it.
_HINTS: Final = (
    ("signature data", "check the secret key, and that no proxy changes the path of the request"),
    ("timestamp out of", "set this machine's clock: it is more than five minutes off the platform's"),
    ("do not have permission", "ask an administrator to give this API user's role the named permissions"),
    ("unauthorized", "check the API token: it may be wrong or have expired"),
    ("access denied", "check the access id or token, and that this API user may see the owner"),
    ("not been licensed", "API access is not licensed on this instance"),
    ("could not find resource for relative", _NOT_THE_API),
    ("batchjobenabled", "ask an administrator to enable batch jobs and document storage"),
)


def http_date(text: str | None) -> datetime | None:
    """Parse an HTTP date (UTC); None when there is none or it is no date."""
    try:
        moment = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def path_of(response: "requests.Response") -> str:
    """The path of the request that *response* answers, without its query."""
    return urlsplit(response.url).path


def server_time(response: "requests.Response") -> datetime:
    """When the platform says it answered; this machine's time when it does not say."""
    return http_date(response.headers.get("Date")) or datetime.now(UTC)


def is_html(response: "requests.Response") -> bool:
    """True for a web page: the API itself never sends one."""
    return response.headers.get("Content-Type", "").lstrip().lower().startswith("text/html")


def retry_after(response: "requests.Response") -> float | None:
    """Seconds that ``Retry-After`` (seconds or an HTTP date) asks to wait; None when it is absent or nonsense."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    moment = http_date(text)
    return max((moment - server_time(response)).total_seconds(), 0.0) if moment else None


def error_of(response: "requests.Response", redact: Callable[[str], str] = str) -> ApiError:
    """The error that *response*, which is a failure or no answer of the API, stands for."""
    status, method, path = response.status_code, response.request.method or "", path_of(response)
    words = redact(_words(response))
    message = f"{method} {path}: {status} {words}"
    arguments: dict[str, Any] = {
        "status": status,
        "method": method,
        "path": path,
        "retry_after": retry_after(response),
        "hint": _hint(response, words),
    }
    if is_html(response) or 300 <= status < 400:
        return ApiError(message, **arguments)
    if status == 401:
        return AuthenticationError(message, **arguments)
    if status == 403 and ("owner" in words.lower() or "owner=" in (response.request.url or "")):
        return OwnerNotFoundError(message, **arguments)
    if status == 404:
        return NotFoundError(message, **arguments)
    return ApiError(message, **arguments)


def decode(response: "requests.Response", kind: type[T], content: bytes | None = None) -> T:
    """The JSON document in *response* as a *kind*; numbers and booleans may come as strings.

    Args:
        response: A successful answer.
        kind: What the document must be.
        content: Instead of the answer's own body.

    Raises:
        ApiError: It is not JSON, not of that shape, or says that the request failed.
    """
    try:
        document = msgspec.json.decode(response.content if content is None else content)
        if isinstance(document, dict) and document.get("status") in _FAILED:
            raise error_of(response)
        return msgspec.convert(document, kind, strict=False)
    except NOT_JSON as error:
        raise unexpected(response, str(error)) from None


def data_of(response: "requests.Response", kind: type[T]) -> T:
    """The ``data`` of a v2 envelope as a *kind*; also of a document that came without its envelope.

    Raises:
        ApiError: As for :func:`decode`.
    """
    document = decode(response, dict[str, Any])
    try:
        return msgspec.convert(document.get("data", document), kind, strict=False)
    except msgspec.ValidationError as error:
        raise unexpected(response, str(error)) from None


def unexpected(response: "requests.Response", what: str) -> ApiError:
    """The error for an answer that says success but is not what the API documents."""
    method, path = response.request.method or "", path_of(response)
    return ApiError(
        f"{method} {path}: the answer is not what the API documents: {what}",
        status=response.status_code,
        method=method,
        path=path,
        hint=_NOT_THE_API,
    )


def _words(response: "requests.Response") -> str:
    """The platform's own message, on one line."""
    if 300 <= response.status_code < 400:
        target = urlsplit(response.headers.get("Location", ""))
        return f"a redirect to {target.scheme}://{target.netloc}{target.path}" if target.netloc else "a redirect"
    if is_html(response):
        title = _TITLE.search(response.text)
        return f"an HTML page{f' titled {_one_line(title[1])!r}' if title else ''} instead of the API's answer"
    try:
        document = msgspec.json.decode(response.content)
    except NOT_JSON:
        document = response.text
    if isinstance(document, dict):
        document = document.get("message") or document.get("description") or document
    return _one_line(str(document)) or response.reason or "no message"


def _one_line(text: str) -> str:
    return _CONTROL.sub(" ", text).strip()[:MESSAGE_LIMIT]


def _hint(response: "requests.Response", words: str) -> str:
    if is_html(response) or 300 <= response.status_code < 400:
        return _NOT_THE_API
    if response.status_code == 403 and urlsplit(response.url).scheme == "http":
        return "the platform refuses plain HTTP: use an https:// API URL"
    lowered = words.lower()
    return next((hint for sign, hint in _HINTS if sign in lowered), "")
