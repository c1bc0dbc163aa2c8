"""Kinds of option values that several commands share, and the examples under their help."""

import inspect
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import typer
from rich.markup import escape

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

Feed = Annotated[
    str,
    typer.Argument(
        help="A feed that tcetl knows, by name; your own definition (….toml); or a path, a pattern or an address.",
        metavar="FEED",
    ),
]
Owner = Annotated[str | None, typer.Option(help="Owner by name; else TC_OWNER or tc.conf.", metavar="NAME")]


def option(name: str, kind: Any, default: Any, *flags: str, **details: Any) -> inspect.Parameter:
    """Return an option as a parameter, for `takes`: *flags* and *details* are those of ``typer.Option``."""
    annotation = Annotated[kind, typer.Option(*flags, **details)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def takes(
    run: Callable[..., None], command: Callable[..., None], made: str, options: Iterable[inspect.Parameter]
) -> Callable[..., None]:
    """Return *run* with the parameters that typer is to see: those of *command* but the one *made*, and *options*."""
    signature = inspect.signature(command)
    own = [parameter for parameter in signature.parameters.values() if parameter.name != made]
    parameters = [*own, *options]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def duration(text: str) -> timedelta:
    """Parse ``90m``, ``36h``, ``7d`` or ``30s``.

    Raises:
        typer.BadParameter: *text* is not of that form.
    """
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a duration such as 90m, 36h or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def moment(text: str) -> datetime:
    """Parse an ISO 8601 date or time; without an offset it is UTC.

    Raises:
        typer.BadParameter: *text* is not ISO 8601.
    """
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not an ISO 8601 time such as 2026-11-24T06:00:00Z") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def new_run_id() -> str:
    """A run's name from the present time: ``20261124T060000Z``; names sort by time."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def examples(*commands: str) -> dict[str, Any]:
    """Keyword arguments for ``app.command`` that put *commands* as examples under the help."""
    return {"epilog": "\n".join(["[bold]Examples[/]", *(f"  [cyan]{escape(command)}[/]" for command in commands)])}
