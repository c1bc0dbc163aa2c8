"""Connection settings, from one documented order of sources.

Precedence, highest first: arguments, then environment (``TC_*``), then ``tc.conf``, then defaults. An Airflow
connection is turned into arguments by the hook, so it stands at the top.

``tc.conf`` is the vendor SDK's file: section ``[threatconnect]`` with ``api_access_id``, ``api_secret_key``,
``api_default_org``, ``api_base_url`` (and our ``api_token``, ``verify_tls``, ``timeout``, ``proxy``).
"""

import configparser
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import inf
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from tcetl.errors import ConfigError

ENVIRONMENT: Final[dict[str, str]] = {
    "TC_API_URL": "base_url",
    "TC_ACCESS_ID": "access_id",
    "TC_SECRET_KEY": "secret_key",
    "TC_TOKEN": "token",
    "TC_OWNER": "default_owner",
    "TC_VERIFY_TLS": "verify",
    "TC_TIMEOUT": "timeout",
    "TC_PROXY": "proxy",
    "TC_RATE_LIMIT": "rate_limit",
    "TC_RETRIES": "retries",
}
"""Environment variable → setting."""

CONF_KEYS: Final[dict[str, str]] = {
    "api_base_url": "base_url",
    "api_access_id": "access_id",
    "api_secret_key": "secret_key",
    "api_token": "token",
    "api_default_org": "default_owner",
    "verify_tls": "verify",
    "timeout": "timeout",
    "proxy": "proxy",
    "rate_limit": "rate_limit",
    "retries": "retries",
}
"""``tc.conf`` key → setting."""

_TRUE: Final = {"1", "true", "yes", "on"}
_FALSE: Final = {"0", "false", "no", "off"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to reach one ThreatConnect instance. Credentials stay out of ``repr``.

    Attributes:
        base_url: The API base with its ``/api`` part, such as ``https://app.threatconnect.com/api``.
        access_id: HMAC access id, with ``secret_key``.
        secret_key: HMAC secret key.
        token: API token; used instead of HMAC when set.
        default_owner: Owner used where none is named.
        verify: True (default), False, or the path of a CA bundle.
        timeout: Seconds to wait for a connection and between two bytes of an answer.
        retries: Attempts after the first for connection errors, 429 and 5xx.
        rate_limit: Most requests a second, None for no limit of our own.
        proxy: Proxy URL for both schemes; None follows the usual ``HTTPS_PROXY`` variables.
        activity_log: Ask the platform to write its activity log for our requests.
    """

    base_url: str
    access_id: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    default_owner: str | None = None
    verify: bool | str = True
    timeout: float = 60.0
    retries: int = 5
    rate_limit: float | None = None
    proxy: str | None = field(default=None, repr=False)
    activity_log: bool = False

    def __post_init__(self) -> None:
        # First of all: the other messages quote the URL.
        if "@" in self.base_url or "?" in self.base_url:
            raise ConfigError(
                "the API URL must not carry credentials or a query", hint="use TC_ACCESS_ID and TC_SECRET_KEY"
            )
        try:
            parts = urlsplit(self.base_url)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise ConfigError(
                f"the API URL {self.base_url!r} is not an http(s) URL",
                hint="set TC_API_URL, for instance https://app.threatconnect.com/api",
            )
        object.__setattr__(self, "base_url", self.base_url.rstrip("/"))
        if not self.token and not (self.access_id and self.secret_key):
            raise ConfigError(
                "no credentials: neither an API token nor an access id with its secret key",
                hint="set TC_ACCESS_ID and TC_SECRET_KEY, or TC_TOKEN, or pass --config tc.conf",
            )
        if not (0 < self.timeout < inf and self.retries >= 0 and (self.rate_limit is None or self.rate_limit > 0)):
            raise ConfigError("timeout must be above 0 seconds, retries 0 or more, and rate_limit above 0")

    @property
    def host(self) -> str:
        """The host (and port) of the instance, to name it in reports and assets."""
        return urlsplit(self.base_url).netloc

    @classmethod
    def resolve(
        cls,
        *,
        config_file: str | os.PathLike[str] | None = None,
        environ: Mapping[str, str] | None = None,
        **arguments: Any,
    ) -> Self:
        """Merge the sources in the documented order and return checked settings.

        Args:
            config_file: A ``tc.conf``; defaults to ``TC_CONFIG`` or, when present, ``./tc.conf``.
            environ: Instead of ``os.environ``.
            **arguments: Any field of this class; None means "not given".

        Raises:
            ConfigError: A file that is missing or unreadable, a value of the wrong kind, or no credentials.
        """
        environ = os.environ if environ is None else environ
        path = config_file or environ.get("TC_CONFIG")
        sources: list[dict[str, Any]] = [
            _from_conf(Path(path or "tc.conf")) if path is not None or Path("tc.conf").is_file() else {},
            {name: environ[key] for key, name in ENVIRONMENT.items() if environ.get(key)},
            {name: value for name, value in arguments.items() if value is not None},
        ]
        values: dict[str, Any] = {}
        for source in sources:
            # A token and an HMAC pair from different sources must not fight: the higher source's kind wins.
            if "token" in source:
                values.pop("secret_key", None)
            elif "secret_key" in source:
                values.pop("token", None)
            values |= source
        if "base_url" not in values:
            raise ConfigError(
                "no API URL is set", hint="set TC_API_URL, pass --api-url, or write api_base_url in tc.conf"
            )
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ConfigError(f"unknown settings: {', '.join(unknown)}")
        return cls(**{name: _typed(name, value) for name, value in values.items()})


def _from_conf(path: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
        section = parser["threatconnect"]
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (configparser.Error, KeyError, UnicodeDecodeError):
        # The parser's own message quotes the offending line, which may be the secret key.
        raise ConfigError(
            f"{path} is not a tc.conf", hint="it needs a [threatconnect] section of key = value lines"
        ) from None
    return {CONF_KEYS[key]: value for key, value in section.items() if key in CONF_KEYS and value}


def _typed(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    value = value.strip()
    try:
        if name in {"timeout", "rate_limit"}:
            return float(value)
        if name == "retries":
            return int(value)
    except ValueError:
        raise ConfigError(f"{name} must be a number, not {value!r}") from None
    if name in {"verify", "activity_log"}:
        lowered = value.lower()
        if lowered in _TRUE | _FALSE:
            return lowered in _TRUE
        if name == "activity_log":
            raise ConfigError(f"{name} must be true or false, not {value!r}")
    return value
