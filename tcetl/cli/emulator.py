"""``tcetl emulator``: a local ThreatConnect."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from tcetl.cli.options import examples

app = typer.Typer()


@app.command(**examples("tcetl emulator --seed 100000", "tcetl emulator --port 9443 --tls --data-dir state"))
def emulator(
    *,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 8089,
    host: Annotated[str, typer.Option(help="Address to listen on.", metavar="ADDRESS")] = "127.0.0.1",
    tls: Annotated[bool, typer.Option("--tls", help="Serve HTTPS with a certificate of its own.")] = False,
    seed: Annotated[int, typer.Option(help="Made-up indicators that 'Demo Source' starts with.", min=0)] = 0,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where to keep its state; else a temporary folder.", metavar="DIR")
    ] = None,
) -> None:
    """Serve a local ThreatConnect until Ctrl-C: stateful, with real authentication, bulk reports and batch jobs."""
    from tcetl.emulator.server import serve

    if data_dir is not None:
        data_dir.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(KeyboardInterrupt):  # the way to stop it, not a failure
        serve(host=host, port=port, tls=tls, seed=seed, data_dir=data_dir, ready=_announce)


def _announce(url: str, ca_file: Path | None) -> None:
    """Tell how to reach it, in words that another shell takes as they are."""
    from tcetl.emulator.tenants import WRITER

    typer.echo(f"ThreatConnect emulator at {url}. In another shell:\n")
    typer.echo(f"  export TC_API_URL={url}")
    typer.echo(f"  export TC_ACCESS_ID={WRITER.access_id}")
    typer.echo(f"  export TC_SECRET_KEY={WRITER.secret_key}")
    typer.echo("  export TC_OWNER='Demo Source'")
    typer.echo(f"  tcetl owners{f' --ca-file {ca_file}' if ca_file else ''}\n\nCtrl-C stops it.")
