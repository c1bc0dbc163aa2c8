"""Who is calling: HMAC signatures and tokens, really checked (api §1.2 to §1.4)."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from tcetl.emulator.answers import ACCESS_DENIED, RefusalError
from tcetl.emulator.tenants import USERS, User

WINDOW: Final = 300
"""Seconds by which the Timestamp header may differ from the server's clock (api §1.3)."""

_BY_ACCESS_ID: Final = {user.access_id: user for user in USERS}
_BY_TOKEN: Final = {user.token: user for user in USERS}


def signature(secret_key: str, target: str, method: str, timestamp: str) -> str:
    """Sign *target*, the path and query exactly as sent on the wire."""
    message = f"{target}:{method}:{timestamp}".encode()
    return base64.b64encode(hmac.new(secret_key.encode(), message, hashlib.sha256).digest()).decode()


def authenticate(headers: Mapping[str, str], target: str, method: str, now: float) -> User:
    """Return the user who signed this request, or raise a 401 with the platform's message (api §1.4)."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme == "TC-Token":
        user = _BY_TOKEN.get(credentials)
        if user is None:
            raise RefusalError(401, "Unauthorized")
        return user
    access_id, colon, given = credentials.partition(":")
    user = _BY_ACCESS_ID.get(access_id)
    if scheme != "TC" or not colon or user is None:
        raise RefusalError(401, ACCESS_DENIED)
    timestamp = headers.get("timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit()):
        raise RefusalError(401, "Invalid timestamp")
    if abs(now - int(timestamp)) > WINDOW:
        raise RefusalError(401, "Timestamp out of acceptable time range")
    expected = signature(user.secret_key, target, method, timestamp)
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise RefusalError(401, "Signature data did not match expected result")
    return user
