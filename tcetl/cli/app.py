"""The command tree."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tcetl import __version__
from tcetl.cli import batch, catalogue, demo, emulator, export, feed, lake, load, owners
from tcetl.cli.errors import clear_errors
from tcetl.cli.options import examples


class _Commands(TyperGroup):
    """The commands, with clear errors around whichever is called."""

    def invoke(self, ctx: Any) -> Any:
        with clear_errors():
            return super().invoke(ctx)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,  # they print local variables, and those can be secrets
)
for module in (demo, owners, load, lake, export, emulator):
    app.add_typer(module.app)
app.add_typer(batch.app, name="batch")
for module in (catalogue, load):
    feed.app.add_typer(module.app)
app.add_typer(feed.app, name="feed")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tcetl {__version__}")
        raise typer.Exit


@app.callback(
    **examples(
        "tcetl demo",
        "tcetl feed preview urlhaus.csv",
        "tcetl load urlhaus.csv --owner 'My Source'",
        "tcetl batch errors runs/monday",
        "tcetl bulk --owner 'My Source' --lake lake",
        "tcetl export lake indicators.cef --format cef",
    )
)
def tcetl(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Move indicators in bulk: feeds into ThreatConnect, ThreatConnect into a data lake, a data lake into SIEMs.

    The connection is taken from options, then from TC_* variables, then from tc.conf.

    Exit codes: 0 done; 1 failed; 2 called wrongly; 3 more records refused than allowed; 130 interrupted.
    """
