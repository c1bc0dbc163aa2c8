"""``python -m tcetl.emulator``: serve until stopped."""

import argparse
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from tcetl.emulator.tenants import WRITER


def _announce(url: str, ca_file: Path | None) -> None:
    """Tell a person, on standard output, where it listens and how to sign in."""
    print(f"ThreatConnect emulator at {url}")  # noqa: T201
    print(f"  access id  {WRITER.access_id}\n  secret key {WRITER.secret_key}\n  token      {WRITER.token}")  # noqa: T201
    if ca_file is not None:
        print(f"  authority  {ca_file}")  # noqa: T201
    sys.stdout.flush()


def _announce_to_parent(url: str, ca_file: Path | None) -> None:
    """Tell the starting process, as one JSON line."""
    print(json.dumps({"url": url, "ca_file": str(ca_file) if ca_file else None}), flush=True)  # noqa: T201


def _die_with(parent: int) -> None:
    """End this process once its parent is gone, however it went."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def main() -> int:
    """Run the server."""
    parser = argparse.ArgumentParser(prog="python -m tcetl.emulator", description="A local ThreatConnect for tests.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8089, help="port, 0 for a free one (default: %(default)s)")
    parser.add_argument("--tls", action="store_true", help="serve HTTPS with a certificate of our own")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="made-up indicators in Demo Source")
    parser.add_argument("--data-dir", type=Path, help="where to keep the state (default: a temporary folder)")
    parser.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.parent is not None:
        _die_with(arguments.parent)
    try:
        from tcetl.emulator.server import serve  # noqa: PLC0415 - needs the extra
    except ModuleNotFoundError as error:
        print(f"The emulator needs {error.name}: pip install 'tcetl[emulator]'", file=sys.stderr)  # noqa: T201
        return 1
    try:
        serve(
            host=arguments.host,
            port=arguments.port,
            tls=arguments.tls,
            seed=arguments.seed,
            data_dir=arguments.data_dir,
            ready=_announce if arguments.parent is None else _announce_to_parent,
        )
    except OSError as error:
        print(f"The emulator cannot start: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
