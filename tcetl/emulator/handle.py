"""Starting an emulator in a process of its own, and the handle to drive it."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import requests

from tcetl.emulator.tenants import COMMUNITY, ORGANIZATION, OUTSIDER, READER, SILENT_SOURCE, SOURCE, WRITER, User

_START_TIMEOUT = 600.0
"""Seconds: seeding millions of indicators takes its time."""


_STOP_TIMEOUT = 5.0


class EmulatorError(RuntimeError):
    """The emulator could not be started, or refused an administrative request."""


class Emulator:
    """A running emulator: where it is, how to sign in, and its administration interface.

    Attributes:
        url: Base URL of the API, such as ``http://127.0.0.1:41234/api``.
        ca_file: Certificate of the authority that signed the server's, when it serves HTTPS.
        pid: Process id of the server.
        access_id: Of the user who may read and write every owner; so are ``secret_key`` and ``token``.
        reader: A user who may read every owner and write none.
        outsider: A user who knows "Demo Organization" only.
    """

    ORGANIZATION: ClassVar = ORGANIZATION
    SOURCE: ClassVar = SOURCE
    COMMUNITY: ClassVar = COMMUNITY
    SILENT_SOURCE: ClassVar = SILENT_SOURCE

    def __init__(self, url: str, *, ca_file: Path | None = None, pid: int = 0) -> None:
        self.url = url
        self.ca_file = ca_file
        self.pid = pid
        self.access_id, self.secret_key, self.token = WRITER.access_id, WRITER.secret_key, WRITER.token
        self.writer: User = WRITER
        self.reader: User = READER
        self.outsider: User = OUTSIDER
        self._session = requests.Session()
        self._session.trust_env = False  # loopback: no proxy, no .netrc
        self._session.verify = str(ca_file) if ca_file else True

    def __repr__(self) -> str:
        return f"Emulator({self.url!r})"

    def _call(self, method: str, path: str, *, params: dict[str, Any] | None = None, json: Any = None) -> Any:
        url = f"{self.url.removesuffix('/api')}/admin/{path}"
        try:
            response = self._session.request(method, url, params=params, json=json, timeout=_START_TIMEOUT)
        except requests.ConnectionError as error:
            raise EmulatorError(f"The emulator at {self.url} does not answer: {error}") from error
        if not response.ok:
            raise EmulatorError(f"{method} /admin/{path} failed with {response.status_code}: {response.text}")
        return response.json()

    def reset(self) -> None:
        """Forget all indicators, jobs, reports, faults and requests; set the clock right."""
        self._call("POST", "reset")

    def seed(self, owner: str, count: int, *, seed: int = 0, report: bool = True) -> None:
        """Add *count* made-up indicators to *owner* and generate its bulk reports unless *report* is false."""
        self._call("POST", "seed", json={"owner": owner, "count": count, "seed": seed, "report": report})

    def counts(self, owner: str) -> dict[str, int]:
        """How many indicators of each type *owner* holds."""
        found: dict[str, int] = self._call("GET", "counts", params={"owner": owner})
        return found

    def group_counts(self, owner: str) -> dict[str, int]:
        """How many groups of each type *owner* holds."""
        found: dict[str, int] = self._call("GET", "counts", params={"owner": owner, "kind": "group"})
        return found

    def contents(self, owner: str) -> list[dict[str, Any]]:
        """Every indicator, group and association of *owner*: ``kind``, ``type``, ``name`` and ``writes``.

        The name is the summary with all of a File's hashes, the xid, or the names of both ends in their order, joined
        by `` - ``; writes are how often batch items wrote it. Groups have ``file`` too, its size or None.
        """
        found: list[dict[str, Any]] = self._call("GET", "contents", params={"owner": owner})
        return found

    def batches(self) -> list[dict[str, Any]]:
        """Every batch job: ``owner``, ``settings``, its status as the API tells it, and the ``uploads`` it accepted.

        Each upload has its ``time``, ``bytes`` and ``sha256``; more than one is a duplicate that a fault let through.
        """
        found: list[dict[str, Any]] = self._call("GET", "batches")
        return found

    def requests_under_way(self) -> int:
        """How many API requests have come in and not ended yet: a client that died may leave some."""
        count: int = self._call("GET", "health")["requests"]
        return count

    def indicator(self, owner: str, type_: str, summary: str) -> dict[str, Any] | None:
        """What the store holds for one indicator (a File by any of its hashes), or None."""
        return self._find("indicator", {"owner": owner, "type": type_, "summary": summary})

    def group(self, owner: str, xid: str) -> dict[str, Any] | None:
        """What the store holds for one group, or None."""
        return self._find("group", {"owner": owner, "xid": xid})

    def _find(self, path: str, params: dict[str, Any]) -> dict[str, Any] | None:
        url = f"{self.url.removesuffix('/api')}/admin/{path}"
        response = self._session.get(url, params=params, timeout=_START_TIMEOUT)
        if response.status_code == 404:
            return None
        if not response.ok:
            raise EmulatorError(f"GET /admin/{path} failed with {response.status_code}: {response.text}")
        found: dict[str, Any] = response.json()
        return found

    def journal(self, route: str | None = None, *, method: str | None = None, after: int = 0) -> list[dict[str, Any]]:
        """The API requests so far, oldest first; ``*`` in *route* stands for a path segment, ``**`` for anything."""
        params = {"route": route, "method": method, "after": after}
        found: list[dict[str, Any]] = self._call("GET", "journal", params=params)
        return found

    def add_fault(self, kind: str, **fields: Any) -> int:
        """Put a fault rule in force (fields: :class:`tcetl.emulator.faults.Fault`); return its id."""
        id_: int = self._call("POST", "faults", json={"kind": kind, **fields})["id"]
        return id_

    def faults(self) -> list[dict[str, Any]]:
        """The fault rules in force, with how often each has matched and struck."""
        found: list[dict[str, Any]] = self._call("GET", "faults")
        return found

    def clear_faults(self) -> None:
        """Remove all fault rules."""
        self._call("DELETE", "faults")

    def advance_clock(self, seconds: float) -> None:
        """Move the server's clock; the window of signatures and the ``Date`` header follow it."""
        self._call("POST", "clock", json={"advance": seconds})

    def set_bulk(
        self, owner: str, *, json: bool | None = None, csv: bool | None = None, fails: bool | None = None
    ) -> dict[str, Any]:
        """Enable or disable an owner's reports, or let their generation fail; return the bulk status."""
        found: dict[str, Any] = self._call(
            "PUT", "bulk", json={"owner": owner, "json": json, "csv": csv, "fails": fails}
        )
        return found

    def set_limits(self, **limits: int) -> dict[str, int]:
        """Change limits of the instance (:class:`tcetl.emulator.limits.Limits`); return all of them."""
        found: dict[str, int] = self._call("PUT", "limits", json=limits)
        return found


@contextmanager
def run_emulator(
    *, host: str = "127.0.0.1", port: int = 0, tls: bool = False, seed: int = 0, data_dir: Path | None = None
) -> Iterator[Emulator]:
    """Run an emulator in its own process; it answers when the context is entered and ends with it.

    The process also ends when its parent dies.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        tls: Serve HTTPS; ``ca_file`` is then the certificate to trust.
        seed: How many made-up indicators "Demo Source" starts with.
        data_dir: Where the state is kept; by default a temporary folder.

    Raises:
        EmulatorError: The process ended before it answered; the text is what it said.
    """
    command = [sys.executable, "-m", "tcetl.emulator", "--host", host, "--port", str(port), "--seed", str(seed)]
    command += ["--parent", str(os.getpid())]
    command += ["--tls"] if tls else []
    command += ["--data-dir", str(data_dir)] if data_dir is not None else []
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors) as process,  # noqa: S603
    ):
        try:
            ready = _wait(process, errors)
            ca_file = Path(ready["ca_file"]) if ready["ca_file"] else None
            yield Emulator(ready["url"], ca_file=ca_file, pid=process.pid)
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to end, which lets it tidy up; insist if it does not."""
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()


def _wait(process: subprocess.Popen[bytes], errors: Any) -> dict[str, Any]:
    """Wait for the line that says where the server listens."""
    watchdog = threading.Timer(_START_TIMEOUT, process.kill)
    watchdog.start()
    try:
        line = process.stdout.readline() if process.stdout else b""
    finally:
        watchdog.cancel()
    if not line:
        process.wait()
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip()
        raise EmulatorError(f"The emulator ended with status {process.returncode} before it answered: {said}")
    ready: dict[str, Any] = json.loads(line)
    return ready
