"""From exceptions of the HTTP library to the error family."""

import socket
import ssl
from typing import Final

import requests
import urllib3.exceptions

from tcetl.errors import ConfigError, ConnectionFailedError, TcetlError, TlsError
from tcetl.reasons import causes_of, reason_of

_TLS_HINT: Final = "set TC_VERIFY_TLS to the file of the CA that signed the instance's certificate"
_NOT_SENT: Final = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.ProxyError,
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
    causes = causes_of(error)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        why = next(cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError))
        return TlsError(f"{request}: the certificate of {host} is not trusted: {why.verify_message}", hint=_TLS_HINT)
    sent = not any(isinstance(cause, _NOT_SENT) for cause in causes)
    return ConnectionFailedError(
        f"{request}: no answer from {host}: {reason_of(error)}", outcome_unknown=sent, hint=_hint(causes)
    )


def _hint(causes: list[BaseException]) -> str:
    if any(isinstance(cause, urllib3.exceptions.ProxyError) for cause in causes):
        return "check TC_PROXY, or HTTPS_PROXY and NO_PROXY"
    if any(isinstance(cause, socket.gaierror | ConnectionRefusedError) for cause in causes):
        return "check TC_API_URL and that the instance can be reached from here"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "check TC_API_URL: does its port speak TLS? Or does a proxy come in between?"
    return ""
