"""Whole loads against the emulator: every type, every way to be refused, kill -9 and seeded faults."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_platform import hosts, indicators

from tcetl.client import ThreatConnect
from tcetl.client.batch import BatchSettings
from tcetl.errors import (
    ApiError,
    ConnectionFailedError,
    LoadError,
    OwnerNotFoundError,
    ReconciliationError,
    RejectedRecordsError,
)
from tcetl.load import LoadReport, Run, plan, steps, submit
from tcetl.schema import REJECTS

if TYPE_CHECKING:
    from tcetl.emulator import Emulator

OWNER = "Demo Source"
submitting = sys.modules["tcetl.load.submit"]
DRIVER = Path(__file__).with_name("killed_load.py")


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SETTLE", 0.5)
    monkeypatch.setattr(submitting, "POLL", (0.05, 0.2))
    monkeypatch.setattr("tcetl.client.batch.SETTLING_SECONDS", 0.2)


@pytest.fixture
def tc(tc_emulator: "Emulator") -> Iterator[ThreatConnect]:
    with connect(tc_emulator) as connection:
        yield connection


def connect(emulator: "Emulator", **arguments: Any) -> ThreatConnect:
    return ThreatConnect(
        base_url=emulator.url, access_id=emulator.access_id, secret_key=emulator.secret_key, **arguments
    )


def planned(table: pa.Table, path: Path, *, max_records: int = 10_000, **settings: Any) -> Run:
    counts = {"rows_read": table.num_rows, "rejected": {}, "duplicates": 0}
    job = BatchSettings(owner=OWNER, **settings)
    return plan(table, REJECTS.empty_table(), path, settings=job, counts=counts, max_records=max_records)


GOOD = [
    ("Address", "192.0.2.1"),
    ("Address", "2001:db8::1"),
    ("EmailAddress", "bad@example.com"),
    ("File", "0123456789abcdef" * 2),
    ("File", f"{'b' * 32} : {'b' * 40} : {'b' * 64}"),
    ("Host", "bad.example"),
    ("URL", 'http://bad.example/path?x="1"&y=ä'),
    ("ASN", "ASN64500"),
    ("CIDR", "192.0.2.0/24"),
    ("Mutex", "is not a valid Mutex"),
    ("Registry Key", "HKEY_LOCAL_MACHINE\\Software\\Bad : Run : REG_SZ"),
    ("Registry Key", "HKEY_LOCAL_MACHINE\\Software\\Bad :   : REG_NONE"),
    ("User Agent", "Mozilla/5.0 (bad)"),
    ("Email Subject", "Invoice: pay now"),
    ("Hashtag", "#bad"),
]
BAD = [
    ("Address", "192.0.2.999"),
    ("EmailAddress", "nobody"),
    ("File", "f" * 31),
    ("Host", "no host"),
    ("Host", "nohost"),
    ("URL", "//bad.example/path"),
    ("ASN", "64500"),
    ("CIDR", "192.0.2.0/99"),
    ("Registry Key", "HKLM\\Software : Run : REG_SZ"),
    ("No Such Type", "whatever 1"),
]


def test_every_type_is_loaded_and_every_refusal_finds_its_row(
    tc: ThreatConnect, tc_emulator: "Emulator", tmp_path: Path
) -> None:
    run = planned(indicators(GOOD + BAD), tmp_path / "run", max_records=9)
    with pytest.raises(RejectedRecordsError, match=f"{len(BAD)} of {len(GOOD + BAD)} records"):
        submit(tc, run)
    report = run.report()
    assert (report.succeeded, report.failed, report.unattributed) == (len(GOOD), len(BAD), 0)
    assert sum(tc_emulator.counts(OWNER).values()) == len(GOOD)
    assert all(tc_emulator.indicator(OWNER, kind, summary) for kind, summary in GOOD)
    rows = pq.read_table(run.rejects_path).to_pylist()
    assert {(row["type"], row["summary"], row["row"]) for row in rows} == {
        (kind, summary, number) for number, (kind, summary) in enumerate(GOOD + BAD, start=1) if (kind, summary) in BAD
    }
    assert {row["code"] for row in rows} == {"0x1005"}


def test_tags_attributes_and_ratings_arrive(tc: ThreatConnect, tc_emulator: "Emulator", tmp_path: Path) -> None:
    table = indicators(
        [("Host", "bad.example")],
        rating=4.0,
        confidence=55,
        description="C2 server",
        source="https://example.com/feed",
        tags=[{"name": "botnet"}],
        attributes=[{"type": "Additional Analysis and Context", "value": "seen"}],
    )
    submit(tc, planned(table, tmp_path / "run"))
    found = tc_emulator.indicator(OWNER, "Host", "bad.example")
    assert found is not None
    assert (found["rating"], found["confidence"], found["description"]) == (4.0, 55, "C2 server")
    assert [tag["name"] for tag in found["tags"]] == ["botnet"]
    kept = {attribute["type"]: attribute["value"] for attribute in found["attributes"]}
    assert kept["Additional Analysis and Context"] == "seen"
    assert kept["Source"] == "https://example.com/feed"


def test_halting_leaves_the_rest_unprocessed_and_says_which(tc: ThreatConnect, tmp_path: Path) -> None:
    table = indicators([("Host", "a.example"), ("Host", "b example"), ("Host", "c.example"), ("Host", "d.example")])
    run = planned(table, tmp_path / "run", halt_on_error=True)
    with pytest.raises(RejectedRecordsError):
        submit(tc, run)
    rows = pq.read_table(run.rejects_path).to_pylist()
    assert [(row["summary"], row["code"]) for row in rows] == [
        ("b example", "0x1005"),
        ("c.example", "unprocessed"),
        ("d.example", "unprocessed"),
    ]


def test_deleting_what_is_not_there_is_told_row_by_row(
    tc: ThreatConnect, tc_emulator: "Emulator", tmp_path: Path
) -> None:
    submit(tc, planned(hosts(3), tmp_path / "load"))
    run = planned(hosts(5), tmp_path / "delete", action="Delete")
    with pytest.raises(RejectedRecordsError, match="2 0x1007"):
        submit(tc, run)
    assert pq.read_table(run.rejects_path)["row"].to_pylist() == [4, 5]
    assert not sum(tc_emulator.counts(OWNER).values())


def test_too_many_for_one_job_are_all_dead_letters(tc: ThreatConnect, tc_emulator: "Emulator", tmp_path: Path) -> None:
    tc_emulator.set_limits(max_indicators=4)
    try:
        run = planned(hosts(6), tmp_path / "run")
        with pytest.raises(RejectedRecordsError, match="6 of 6"):
            submit(tc, run)
    finally:
        tc_emulator.set_limits(max_indicators=25_000)
    assert pq.read_table(run.rejects_path)["row"].to_pylist() == [1, 2, 3, 4, 5, 6]


def test_a_job_that_breaks_off_halfway_is_accounted_for(
    tc: ThreatConnect, tc_emulator: "Emulator", tmp_path: Path
) -> None:
    tc_emulator.add_fault("job_half", route="/v2/batch/*", method="POST", fraction=0.5)
    run = planned(hosts(10), tmp_path / "run")
    with pytest.raises(RejectedRecordsError, match="5 of 10"):
        submit(tc, run)
    assert pq.read_table(run.rejects_path)["row"].to_pylist() == [6, 7, 8, 9, 10]
    assert sum(tc_emulator.counts(OWNER).values()) == 5


def test_an_unknown_owner_is_named(tc: ThreatConnect, tmp_path: Path) -> None:
    job = BatchSettings(owner="No Such Owner")
    run = plan(hosts(1), REJECTS.empty_table(), tmp_path / "run", settings=job, counts={})
    with pytest.raises(OwnerNotFoundError, match="No Such Owner"):
        submit(tc, run)


def accepted_uploads(emulator: "Emulator") -> list[str]:
    return [entry["path"] for entry in emulator.journal("/v2/batch/*", method="POST") if entry["status"] == 202]


MOMENTS = [
    ("before create", 1),
    ("after create", 1),
    ("after receipts/00000.json", 1),
    ("after receipts/00000.json", 2),
    ("before upload", 1),
    ("after upload", 1),
    ("after receipts/00000.json", 3),
    ("after upload", 2),
    ("after status", 2),
    ("after results", 1),
    ("after answers/00000.json", 1),
    ("after receipts/00001.json", 5),
    ("before run/report.json", 1),
]


@pytest.mark.parametrize(("moment", "nth"), MOMENTS)
def test_kill_and_resume(tc_emulator: "Emulator", tmp_path: Path, moment: str, nth: int) -> None:
    table = pa.concat_tables([hosts(6), indicators([("Host", "not a host 1"), ("Host", "not a host 2")])])
    run = planned(table, tmp_path / "run", max_records=4)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TC_")},
        "TC_API_URL": tc_emulator.url,
        "TC_ACCESS_ID": tc_emulator.access_id,
        "TC_SECRET_KEY": tc_emulator.secret_key,
    }
    command = [sys.executable, str(DRIVER), str(run.path), moment, str(nth)]
    killed = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL, f"{moment} ({nth}) never came: {killed.stderr}"

    with connect(tc_emulator) as tc:
        report = submit(tc, Run.open(run.path), max_errors=2)
    assert (report.succeeded, report.failed, report.unattributed) == (6, 2, 0)
    assert tc_emulator.counts(OWNER) == {"Host": 6}
    uploads = accepted_uploads(tc_emulator)
    assert len(uploads) == len(set(uploads)) == report.jobs == 2
    assert pq.read_table(run.rejects_path)["summary"].to_pylist() == ["not a host 1", "not a host 2"]


FAULTS: list[dict[str, Any]] = [
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 502, "when": "after"},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 429, "retry_after": 0},
    {"kind": "reset"},
    {"kind": "reset", "when": "after"},
    {"kind": "truncate"},
    {"kind": "html", "status": 502},
]


@pytest.mark.parametrize("seed", range(8))
def test_seeded_faults_neither_lose_nor_double(tc_emulator: "Emulator", tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    for fault in chance.sample(FAULTS, 4):
        route = chance.choice(["/v2/batch", "/v2/batch/*", "/v2/batch/*", "/v2/batch/**"])
        tc_emulator.add_fault(**fault, route=route, nth=chance.randint(1, 6), count=chance.randint(1, 2))
    tc_emulator.add_fault("upload_again", route="/v2/batch/*", method="POST", count=None)
    once = [{"type": "Additional Analysis and Context", "value": "once"}]
    names = [("Host", f"host-{n}.example") for n in range(10)]
    table = indicators([*names, ("Host", "not a host 1"), ("Host", "not a host 2")], attributes=once)
    # With Append, whatever is loaded twice has its attribute twice.
    run = planned(table, tmp_path / "run", max_records=3, attribute_write_type="Append")
    with connect(tc_emulator, retries=1) as tc:
        report = persist(tc, run)
    assert (report.succeeded, report.failed, report.unattributed) == (10, 2, 0)
    assert tc_emulator.counts(OWNER) == {"Host": 10}
    for kind, summary in names:
        found = tc_emulator.indicator(OWNER, kind, summary)
        assert found is not None
        assert [attribute["value"] for attribute in found["attributes"]] == ["once"]


def persist(tc: ThreatConnect, run: Run) -> LoadReport:
    """Start the load again after every failure, as an operator would."""
    for _ in range(20):
        try:
            return submit(tc, run, max_errors=2)
        except (ApiError, ConnectionFailedError, LoadError) as error:
            if isinstance(error, RejectedRecordsError | ReconciliationError):
                raise
    raise AssertionError("the load never ended")


def test_two_processes_cannot_load_the_same_run(tc: ThreatConnect, tmp_path: Path) -> None:
    run = planned(hosts(3), tmp_path / "run")
    with run.exclusive(), pytest.raises(LoadError, match="in use by process"):
        submit(tc, run)
    assert submit(tc, run).succeeded == 3
