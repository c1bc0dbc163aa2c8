"""Request signing: a token, or HMAC with a timestamp by the platform's clock.

HMAC (ThreatConnect REST docs): ``Authorization: TC <access id>:<base64(HMAC-SHA256(secret, path:METHOD:timestamp))>``
where path is the percent-encoded path and query exactly as sent. The platform refuses timestamps more than five minutes
off, so each attempt is signed anew and a clock that is off is corrected by the platform's own ``Date``.
"""

import base64
import hashlib
import hmac
import logging
import time
from typing import Final

import requests
from requests.auth import AuthBase

from tcetl.client.answers import http_date
from tcetl.config import Settings

logger = logging.getLogger(__name__)

SKEW_WORTH_CORRECTING: Final = 30.0
"""Seconds; a ``Date`` header is exact to one second, and an answer is some seconds old when it arrives."""


def signature(secret_key: str, path_url: str, method: str, timestamp: int) -> str:
    """The base64 HMAC-SHA256 of one request.

    Args:
        secret_key: The API user's secret key.
        path_url: Percent-encoded path with its base prefix, and ``?`` with the raw query when there is one.
        method: HTTP method.
        timestamp: Unix seconds, as sent in the ``Timestamp`` header.
    """
    message = f"{path_url}:{method.upper()}:{timestamp}"
    digest = hmac.new(secret_key.encode(), message.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode("ascii")


class Signer(AuthBase):
    """Signs each prepared request; holds the credentials and never shows them. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._access_id = settings.access_id
        self._secret_key = settings.secret_key
        self._token = settings.token
        self._offset = 0.0

    def __repr__(self) -> str:
        return f"Signer({'token' if self._token else self._access_id!r})"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the authentication headers on *request*, which must have its final URL."""
        if self._token:
            request.headers["Authorization"] = f"TC-Token {self._token}"
            return request
        assert self._secret_key is not None
        timestamp = int(time.time() + self._offset)
        signed = signature(self._secret_key, request.path_url, request.method or "GET", timestamp)
        request.headers["Authorization"] = f"TC {self._access_id}:{signed}"
        request.headers["Timestamp"] = str(timestamp)
        return request

    def learn_clock(self, refused: requests.Response) -> bool:
        """Set the clock by the ``Date`` of a *refused* request; True when that gives its signature another chance."""
        signed_at = refused.request.headers.get("Timestamp")
        platform = http_date(refused.headers.get("Date"))
        if signed_at is None or platform is None:
            return False
        skew = platform.timestamp() - int(signed_at)
        if abs(skew) < SKEW_WORTH_CORRECTING:
            return False
        self._offset = platform.timestamp() - time.time()
        logger.warning("this machine's clock is %+.0f s off the platform's; signing by the platform's", -skew)
        return True

    def redact(self, text: str) -> str:
        """Return *text* (an answer that may echo our headers) without the credentials."""
        for secret in (self._secret_key, self._token):
            if secret:
                text = text.replace(secret, "***")
        return text
