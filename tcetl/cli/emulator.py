"""``tcetl emulator``: a local ThreatConnect."""

import typer

app = typer.Typer()
