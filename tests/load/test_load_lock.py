import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_platform import OWNER, FakePlatform, hosts
from upath import UPath

from tcetl.client.batch import BatchSettings
from tcetl.errors import LoadError
from tcetl.load import advance, lock, plan, submit
from tcetl.load.lock import exclusive
from tcetl.schema import REJECTS

HOLD = """
import sys, time
from pathlib import Path
from tcetl.load.lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_second_of_two_processes_is_told_who_holds_the_run(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lock"
    path.parent.mkdir()
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LoadError, match=rf"run is in use by process {holder.pid} on .+ since 20"), exclusive(path):
            pass
        holder.kill()
    with exclusive(path):  # the lock of a killed process is nobody's
        pass


def test_no_step_is_taken_beside_another_process(tmp_path: Path) -> None:
    settings = BatchSettings(owner=OWNER)
    run = plan(hosts(2), REJECTS.empty_table(), tmp_path / "run", settings=settings, counts={})
    platform = FakePlatform()
    with run.exclusive():
        for step in (advance, submit):
            with pytest.raises(LoadError, match="in use by process"):
                step(platform, run)
    assert platform.calls == []
    assert submit(platform, run).succeeded == 2


@pytest.fixture
def lease(tmp_path: Path) -> UPath:
    path = UPath(f"memory:/{tmp_path}/lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_a_lease_keeps_others_out_and_ends_with_its_block(lease: UPath) -> None:
    with exclusive(lease):
        with pytest.raises(LoadError, match="in use by process"), exclusive(lease):
            pass
        assert lease.exists()
    assert not lease.exists()


@pytest.mark.parametrize("content", [b'{"renewed": 0, "pid": 1, "host": "gone", "since": "then"}', b"{"])
def test_a_lease_not_renewed_is_taken_over(lease: UPath, content: bytes) -> None:
    lease.write_bytes(content)
    with exclusive(lease):
        assert json.loads(lease.read_bytes())["renewed"] > 0


def test_a_lease_is_renewed_while_it_is_held(lease: UPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LEASE", 0.15)
    with exclusive(lease):
        first = json.loads(lease.read_bytes())["renewed"]
        deadline = time.monotonic() + 10
        while json.loads(lease.read_bytes())["renewed"] == first:
            assert time.monotonic() < deadline
            time.sleep(0.01)
