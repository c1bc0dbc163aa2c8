"""Why HTTP brought no answer, in words of our own.

The library's own texts are not passed on: some quote the URL, which may hold a key, or that of the proxy, which may
hold a password.
"""

import socket
import ssl
from typing import Final

import urllib3.exceptions

_REASONS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (urllib3.exceptions.ProxyError, "the proxy does not let us through"),
    (socket.gaierror, "its name cannot be resolved"),
    (ConnectionRefusedError, "connection refused"),
    (urllib3.exceptions.ConnectTimeoutError, "timed out while connecting"),
    (urllib3.exceptions.ReadTimeoutError, "timed out"),
    (TimeoutError, "timed out"),
    (urllib3.exceptions.IncompleteRead, "the answer ended early"),
    (urllib3.exceptions.DecodeError, "its compressed data is damaged"),
    (ConnectionError, "the connection was closed"),
    (urllib3.exceptions.ProtocolError, "the connection was closed"),
    (ssl.SSLError, "the TLS handshake failed"),
)


def reason_of(error: BaseException) -> str:
    """Why no answer came, or no whole one, in a few words of our own."""
    causes = causes_of(error)
    for kind, text in _REASONS:
        if any(isinstance(cause, kind) for cause in causes):
            return text
    system = [cause.strerror for cause in causes if isinstance(cause, OSError) and isinstance(cause.strerror, str)]
    return system[0] if system else type(error).__name__


def causes_of(error: BaseException) -> list[BaseException]:
    """*error* and what it was made from, outermost first."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and cause not in found:
            found.append(cause)
            waiting += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
    return found
