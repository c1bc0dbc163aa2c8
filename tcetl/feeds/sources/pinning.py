"""Connections to public addresses only: a name is looked up once, checked, and that very address is connected to.

A feed's address comes from a file or a user, and what it redirects to from a stranger. Neither may make this machine
ask others in its own network, a cloud's metadata service or itself. Checking a name first and connecting by name later
would leave a second look-up in between that can answer otherwise; so the check is where the socket is opened.
"""

import ipaddress
import socket
from typing import Any, Final

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from tcetl.errors import FeedError

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_LOCAL_NAMES: Final = ("localhost", ".localhost", ".local", ".internal", ".home.arpa", ".lan")
_HINT: Final = "a feed on your own network must be allowed to be there: --allow-private, or allow_private"


def is_public(address: str) -> bool:
    """Tell whether an IP address, or the IPv4 address that an IPv6 one stands for, is one of the public internet."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            found = inner
    return found.is_global and not found.is_multicast


def refuse_private(host: str) -> None:
    """Raise `FeedError` when *host* is, by itself, an address or a name of a private network."""
    name = host.strip("[]").rstrip(".").lower()
    try:
        private = not is_public(name)
    except ValueError:
        private = any(name == local.lstrip(".") or name.endswith(local) for local in _LOCAL_NAMES)
    if private:
        raise FeedError(f"{host} is not on the public internet", hint=_HINT)


def connect(host: str, port: int, timeout: float | None, options: Any = None) -> socket.socket:
    """Return a socket that is connected to a public address of *host*.

    Raises:
        FeedError: none of its addresses is public.
        OSError: it has no address, or none answers.
    """
    found = [(family, where) for family, _, _, _, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    public = [(family, where) for family, where in found if is_public(str(where[0]))]
    if not public:
        raise FeedError(f"{host} has no address on the public internet", hint=_HINT)
    failure: OSError | None = None
    for family, where in public:
        opened = socket.socket(family, socket.SOCK_STREAM)
        try:
            for option in options or ():
                opened.setsockopt(*option)
            opened.settimeout(timeout)
            opened.connect(where)
        except OSError as error:
            opened.close()
            failure = error
        else:
            return opened
    raise failure or OSError(f"{host} has no address")


class _Pinned(HTTPConnection):
    """A connection, of either scheme, whose socket is opened by `connect`."""

    def _new_conn(self) -> socket.socket:
        try:
            timeout = self.timeout if isinstance(self.timeout, int | float) else None
            return connect(self.host, self.port, timeout, self.socket_options)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"connection to {self.host} timed out") from error
        except OSError as error:
            raise NewConnectionError(self, f"no connection: {error}") from error


class _PinnedTls(_Pinned, HTTPSConnection):
    """The name is still what the certificate is checked for."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Pinned


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _PinnedTls


class PublicOnly(HTTPAdapter):
    """A transport adapter of `requests` that connects to public addresses only, but to a proxy wherever that is."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools connect as this module does."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
