"""How feeds are fetched, and what of their addresses may be seen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit, urlunsplit

SECRET: Final = "{secret}"  # noqa: S105 - the place for one
"""What an address has in the place of a key: errors, origins and state show it instead of the key."""

TAXII: Final = "taxii+"
"""What an address of a TAXII server begins with, before its https://."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetching:
    """How feeds are fetched.

    Args:
        secret: A key; it takes the place of ``{secret}`` in the address, or goes into *secret_header*.
        secret_header: Header for the key, such as ``Auth-Key``, or ``Authorization`` for a bearer token.
        login: User name and password.
        headers: Further headers; like key and login they are sent to the address's own host only.
        allow_private: Allow addresses that are not on the public internet.
        verify: Check the server's certificate: True, the path of a CA bundle, or False.
        proxies: Proxy by scheme, as `requests` takes them; those of the environment when None.
        timeout: Seconds to wait for a connection, and for each next piece of an answer.
        max_seconds: Seconds that one answer may take as a whole.
        max_bytes: Most bytes of one answer, after the server's own compression.
        retries: How often to try again after what may pass.
        max_redirects: How many redirects to follow.
    """

    secret: str | None = field(default=None, repr=False)
    secret_header: str | None = None
    login: tuple[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    allow_private: bool = False
    verify: bool | str = True
    proxies: Mapping[str, str] | None = None
    timeout: float = 60
    max_seconds: float = 3600
    max_bytes: int = 4 << 30
    retries: int = 4
    max_redirects: int = 5


def shown(address: str) -> str:
    """Return an address as it may stand in errors, origins and state: without user, query and fragment."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "what was given"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
