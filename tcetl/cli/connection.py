"""The options that every command with a connection has, written once."""

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tcetl.cli.options import option, takes
from tcetl.errors import ConfigError

if TYPE_CHECKING:
    from tcetl.client import ThreatConnect

Connect = Callable[[], AbstractContextManager["ThreatConnect"]]
"""Opens the connection that the options name."""


_option: Final = functools.partial(option, rich_help_panel="Connection")

# Credentials are no options: they would stand in the process list and the shell's history.
_OPTIONS: Final = (
    _option(
        "api_url", str | None, None, help="API address with its /api part; else TC_API_URL or tc.conf.", metavar="URL"
    ),
    _option(
        "config", Path | None, None, help="A tc.conf, for credentials too; else TC_CONFIG or ./tc.conf.", metavar="FILE"
    ),
    _option("ca_file", Path | None, None, help="Trust these CA certificates.", metavar="FILE"),
    _option(
        "insecure", bool, False, "--insecure", help="Do not verify the server's certificate: anyone between can read."
    ),
)


def connected(command: Callable[..., None]) -> Callable[..., None]:
    """Add the connection options to *command* and call it with an open ``ThreatConnect`` as its first argument.

    Args:
        command: A command function whose first parameter is the connection; typer sees the others and ours.
    """

    @functools.wraps(command)
    def run(connect: Connect, **arguments: Any) -> None:
        with connect() as tc:
            command(tc, **arguments)

    return connectable(run)


def connectable(command: Callable[..., None]) -> Callable[..., None]:
    """As `connected`, for a command that may do without: its first argument opens the connection when called."""

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        api_url, config, ca_file, insecure = (arguments.pop(option.name) for option in _OPTIONS)

        def connect() -> "ThreatConnect":
            from tcetl.client import ThreatConnect
            from tcetl.config import Settings

            verify = _verify(ca_file, insecure=insecure)
            return ThreatConnect(Settings.resolve(config_file=config, base_url=api_url, verify=verify))

        command(connect, **arguments)

    return takes(run, command, next(iter(inspect.signature(command).parameters)), _OPTIONS)


def _verify(ca_file: Path | None, *, insecure: bool) -> bool | str | None:
    if insecure and ca_file is not None:
        raise ConfigError("--insecure and --ca-file exclude each other")
    if ca_file is not None and not ca_file.is_file():
        raise ConfigError(f"there is no CA file {ca_file}")
    return False if insecure else (str(ca_file) if ca_file else None)


def owner_or_default(tc: Any, owner: str | None) -> str:
    """The owner named by ``--owner``, else the connection's default owner.

    Raises:
        ConfigError: Neither is set.
    """
    if chosen := owner or tc.settings.default_owner:
        return str(chosen)
    raise ConfigError("no owner is named", hint="pass --owner or set TC_OWNER; `tcetl owners` lists those you can see")
