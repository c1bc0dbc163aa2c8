"""``tcetl demo``: the whole product on this machine, for real."""

import typer

app = typer.Typer()
