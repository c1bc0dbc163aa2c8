"""From exceptions of the HTTP library to the error family.

The library's own texts are not passed on: some quote the proxy URL, which may hold a password.
"""

import socket
import ssl
from typing import Final

import requests
import urllib3.exceptions

from tcetl.errors import ConfigError, ConnectionFailedError, TcetlError, TlsError

_TLS_HINT: Final = "set TC_VERIFY_TLS to the file of the CA that signed the instance's certificate"
_NOT_SENT: Final = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.ProxyError,
)
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


def failure_of(error: requests.RequestException | ValueError, request: str, host: str) -> TcetlError:
    """The error that *error* stands for.

    Args:
        error: What the HTTP library raised; of it, all that makes a request impossible is a ValueError.
        request: Method and path, to name it.
        host: Host of the API.
    """
    if isinstance(error, ValueError):
        return ConfigError(f"{request}: the API URL, the proxy or a credential cannot be used in a request")
    causes = _causes(error)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        why = next(cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError))
        return TlsError(f"{request}: the certificate of {host} is not trusted: {why.verify_message}", hint=_TLS_HINT)
    sent = not any(isinstance(cause, _NOT_SENT) for cause in causes)
    return ConnectionFailedError(
        f"{request}: no answer from {host}: {reason_of(error)}", outcome_unknown=sent, hint=_hint(causes)
    )


def reason_of(error: BaseException) -> str:
    """Why no answer came, or no whole one, in a few words of our own."""
    causes = _causes(error)
    for kind, text in _REASONS:
        if any(isinstance(cause, kind) for cause in causes):
            return text
    system = [cause.strerror for cause in causes if isinstance(cause, OSError) and isinstance(cause.strerror, str)]
    return system[0] if system else type(error).__name__


def _causes(error: BaseException) -> list[BaseException]:
    """*error* and what it was made from, outermost first."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and cause not in found:
            found.append(cause)
            waiting += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
    return found


def _hint(causes: list[BaseException]) -> str:
    if any(isinstance(cause, urllib3.exceptions.ProxyError) for cause in causes):
        return "check TC_PROXY, or HTTPS_PROXY and NO_PROXY"
    if any(isinstance(cause, socket.gaierror | ConnectionRefusedError) for cause in causes):
        return "check TC_API_URL and that the instance can be reached from here"
    return ""
