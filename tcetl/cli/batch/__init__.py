"""``tcetl batch``: loads by their run directories."""

import typer

from tcetl.cli.batch import errors, sending, show, status

app = typer.Typer(
    help="Loads by their run directories: where they stand, what was refused and why, going on, and trying again.",
    no_args_is_help=True,
)
for module in (status, show, errors, sending):
    app.add_typer(module.app)
