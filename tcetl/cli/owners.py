"""``tcetl owners``: who this API user can read and write."""

from typing import TYPE_CHECKING

import typer

from tcetl.cli.connection import connected
from tcetl.cli.console import Json, print_json, print_table
from tcetl.cli.options import examples

if TYPE_CHECKING:
    from tcetl.client import ThreatConnect


app = typer.Typer()


@app.command(**examples("tcetl owners", "tcetl owners --config ~/tc.conf --json"))
@connected
def owners(tc: "ThreatConnect", *, json: Json = False) -> None:
    """List the owners that this API user can see."""
    found = tc.owners()
    if json:
        print_json(found)
    else:
        print_table(
            f"Owners on {tc.settings.host}",
            ["id", "name", "type"],
            [(str(owner.id), owner.name, owner.type) for owner in found],
        )
