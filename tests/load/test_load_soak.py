"""The soak (benchmarks/soak.py): a fixed set of its schedules, and that it sees what it is there to see."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_platform import indicators

from tcetl.client import ThreatConnect
from tcetl.client.batch import BatchSettings
from tcetl.load import Run, plan, submit
from tcetl.schema import REJECTS

if TYPE_CHECKING:
    from tcetl.emulator import Emulator

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
OWNER = "Demo Source"


def test_a_fixed_set_of_schedules() -> None:
    command = [sys.executable, str(BENCHMARKS / "soak.py"), "--schedules", "25", "--seed", "7000", "--jobs", "4"]
    soak = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert soak.returncode == 0, soak.stdout + soak.stderr
    counts = {
        cells[0]: cells[1].split()[0]
        for line in soak.stdout.splitlines()
        if line.startswith("│") and (cells := [cell.strip() for cell in line.strip("│").split("│")])[0]
    }
    assert counts["schedules"] == "25"
    assert int(counts["of these killed"]) > 10
    assert int(counts["faults that struck"]) > 50
    wrong = ("lost", "doubled", "strange", "unexplained", "uploads doubled", "chunks lost", "lied")
    assert {counts[name] for name in wrong} == {"0"}


# --- the verdict


@pytest.fixture
def tc(tc_emulator: "Emulator", monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreatConnect]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    emulator = tc_emulator
    emulator.add_fault("upload_again", route="/v2/batch/*", method="POST", count=None)
    with ThreatConnect(
        base_url=emulator.url, access_id=emulator.access_id, secret_key=emulator.secret_key
    ) as connection:
        yield connection


def wrongs(emulator: "Emulator", folder: Path) -> dict[str, int]:
    from dataclasses import asdict, replace

    from soak_schedule import Record, draw
    from soak_verdict import judge

    hosts = [Record("indicator", "Host", name, is_bad=name == "not a host") for name in WHOLE]
    schedule = replace(draw(1), records=hosts)
    return {name: count for name, count in asdict(judge(schedule, emulator, OWNER, folder)).items() if count}


def planned(folder: Path, *hosts: str) -> Run:
    table = indicators([("Host", host) for host in hosts])
    return plan(table, REJECTS.empty_table(), folder / "run-0", settings=BatchSettings(owner=OWNER), counts={})


WHOLE = ("a.example", "b.example", "not a host")


def test_a_sound_load_is_called_so(tc: ThreatConnect, tc_emulator: "Emulator", tmp_path: Path) -> None:
    submit(tc, planned(tmp_path, *WHOLE), max_errors=1)
    assert wrongs(tc_emulator, tmp_path) == {}


def test_what_never_arrived_is_lost(tc: ThreatConnect, tc_emulator: "Emulator", tmp_path: Path) -> None:
    planned(tmp_path, *WHOLE)
    assert wrongs(tc_emulator, tmp_path) == {"lost": 2, "unexplained": 1, "chunks_lost": 1}


def test_what_arrived_twice_is_doubled(tc: ThreatConnect, tc_emulator: "Emulator", tmp_path: Path) -> None:
    run = planned(tmp_path, *WHOLE)
    submit(tc, run, max_errors=1)
    other = tc.batch.create(run.settings)
    tc.batch.upload(other, run.content(0))
    while not tc.batch.status(other).finished:
        pass
    assert wrongs(tc_emulator, tmp_path) == {"doubled": 2, "uploads_doubled": 1}


def test_what_the_load_says_is_held_against_the_platform(
    tc: ThreatConnect, tc_emulator: "Emulator", tmp_path: Path
) -> None:
    run = planned(tmp_path, "a.example", "c.example", "not a host")
    submit(tc, run, max_errors=1)
    run.report_path.write_bytes(run.report_path.read_bytes().replace(b'"succeeded": 2', b'"succeeded": 3'))
    run.rejects_path.unlink()
    assert wrongs(tc_emulator, tmp_path) == {"lost": 1, "strange": 1, "unexplained": 1, "lied": 1}
