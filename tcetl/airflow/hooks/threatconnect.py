"""From an Airflow connection to a ThreatConnect client."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from tcetl.client import ThreatConnect
from tcetl.config import Settings
from tcetl.errors import ConfigError, TcetlError

if TYPE_CHECKING:
    from airflow.sdk import Connection


class ThreatConnectHook(BaseHook):
    """Makes ThreatConnect clients from a connection of type ``threatconnect``.

    Host is the API URL (a bare host means ``https`` and the path ``/api``), login the access id, password the secret
    key. ``extra`` may hold ``token``, ``default_owner``, ``verify_tls``, ``ca_file``, ``proxy``, ``timeout``,
    ``retries`` and ``rate_limit``. What the connection leaves open comes from :meth:`tcetl.config.Settings.resolve`.

    Args:
        threatconnect_conn_id: Id of the connection.
    """

    conn_name_attr = "threatconnect_conn_id"
    default_conn_name = "threatconnect_default"
    conn_type = "threatconnect"
    hook_name = "ThreatConnect"

    def __init__(self, threatconnect_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.threatconnect_conn_id = threatconnect_conn_id

    @property
    def settings(self) -> Settings:
        """The connection's settings, checked.

        Raises:
            ConfigError: A setting is missing or makes no sense.
        """
        return _settings(self.get_connection(self.threatconnect_conn_id))

    def get_conn(self) -> ThreatConnect:
        """A new client; close it, or use it as a context manager.

        Raises:
            ConfigError: A setting is missing or makes no sense.
        """
        return ThreatConnect(self.settings)

    async def aget_conn(self, **changes: Any) -> ThreatConnect:
        """As :meth:`get_conn`, for a trigger: asks for the connection without blocking the event loop.

        Args:
            **changes: Fields of :class:`~tcetl.config.Settings` that are to differ from the connection's.
        """
        return ThreatConnect(replace(_settings(await self.aget_connection(self.threatconnect_conn_id)), **changes))

    def owner(self, name: str | None) -> str:
        """*name*, or the connection's default owner when it is empty.

        Raises:
            ConfigError: Neither is set.
        """
        if owner := name or self.settings.default_owner:
            return owner
        raise ConfigError(
            "no owner is named", hint=f"set tc_owner, or the default owner of connection {self.threatconnect_conn_id}"
        )

    def test_connection(self) -> tuple[bool, str]:
        """Sign in and list the owners; for the button in Airflow's connection form."""
        try:
            with self.get_conn() as tc:
                user, owners = tc.whoami(), tc.owners()
        except TcetlError as error:
            return False, str(error)
        return True, f"Connected to {tc.settings.host} as {user.user_name}; owners: {', '.join(o.name for o in owners)}"


def _settings(connection: "Connection") -> Settings:
    extra: dict[str, Any] = {key: value for key, value in connection.extra_dejson.items() if value not in (None, "")}
    if proxy := extra.get("proxy"):
        mask_secret(proxy)  # it may carry a password
    return Settings.resolve(
        base_url=_base_url(connection),
        access_id=connection.login or None,
        secret_key=connection.password or None,
        verify=extra.get("ca_file", extra.get("verify_tls")),
        **{key: extra.get(key) for key in ("token", "default_owner", "proxy", "timeout", "retries", "rate_limit")},
    )


def _base_url(connection: "Connection") -> str | None:
    """The API URL: of a whole URL in ``host``, or put together from scheme (``schema``), host, port and ``/api``."""
    if not (host := (connection.host or "").strip()):
        return None
    url = urlsplit(host if "://" in host else f"{connection.schema or 'https'}://{host}")
    try:
        port = f":{connection.port}" if url.port is None and connection.port else ""
    except ValueError:
        raise ConfigError(f"the port in host {host!r} of connection {connection.conn_id} is not a number") from None
    return f"{url.scheme}://{url.netloc}{port}{url.path.rstrip('/') or '/api'}"
