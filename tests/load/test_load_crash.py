"""Death at every step: whatever the process was doing, going on from the directory neither loses nor doubles."""

import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_platform import OWNER, Death, FakePlatform, hosts
from mixed import associations, groups, named_groups

from tcetl.client.batch import BatchSettings
from tcetl.errors import ApiError, ConnectionFailedError, LoadError
from tcetl.load import LoadReport, Run, plan, steps, submit
from tcetl.schema import REJECTS

submitting = sys.modules["tcetl.load.submit"]
RECORDS, BAD = 9, (1, 5, 6)


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SETTLE", 0.0)
    monkeypatch.setattr(submitting, "POLL", (0.0, 0.0))


class Fate:
    """Calls *strike* at chosen moments, counting every API call and every file written, before and after."""

    def __init__(self, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch, strike: Callable[[int, str], None]):
        self.moment = 0
        self.strike = strike
        platform.before = lambda name, call: self.tick(f"before {name}")
        platform.after = lambda name, call: self.tick(f"after {name}")
        for module in ("plan", "run", "finish"):
            self._watch(sys.modules[f"tcetl.load.{module}"], monkeypatch)

    def _watch(self, module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        real = module.write_whole

        def write_whole(path: Path, content: bytes) -> None:
            self.tick(f"before {path.name}")
            real(path, content)
            self.tick(f"after {path.name}")

        monkeypatch.setattr(module, "write_whole", write_whole)

    def tick(self, what: str) -> None:
        self.moment += 1
        self.strike(self.moment, what)


def load(platform: FakePlatform, path: Path) -> LoadReport:
    """What any process does with a run directory: plan it if nobody has, then go on."""
    if Run.is_planned(path):
        run = Run.open(path)
    else:
        run = plan(
            hosts(RECORDS, *BAD),
            REJECTS.empty_table(),
            path,
            settings=BatchSettings(owner=OWNER),
            counts={"rows_read": RECORDS, "rejected": {}, "duplicates": 0},
            max_records=4,
        )
    return submit(platform, run, max_errors=len(BAD))


def check(platform: FakePlatform, report: LoadReport) -> None:
    assert (report.sent, report.succeeded, report.failed) == (RECORDS, RECORDS - len(BAD), len(BAD))
    assert report.unaccounted == report.unattributed == report.unprocessed == 0
    loaded = platform.loaded()
    assert len(loaded) == RECORDS, "records lost"
    assert set(loaded.values()) == {1}, "records loaded twice"
    rows = pq.read_table(report.rejects_path)
    assert rows["row"].to_pylist() == [number + 1 for number in sorted(BAD, key=lambda n: f"bad-{n:05}")]


def test_one_death_at_every_moment(tmp_path: Path) -> None:
    moments = 0
    for fatal in range(1, 10_000):
        platform = FakePlatform()
        path = tmp_path / f"run-{fatal}"

        def strike(moment: int, what: str, fatal: int = fatal) -> None:
            if moment == fatal:
                raise Death(what)

        with pytest.MonkeyPatch.context() as monkeypatch:
            fate = Fate(platform, monkeypatch, strike)
            try:
                report = load(platform, path)
            except Death:
                report = load(platform, path)
            else:
                moments = fate.moment
        check(platform, report)
        assert platform.calls.count("upload") - 3 <= 1  # an upload may be asked for again only where none was taken
        if moments:
            break
    assert moments == fatal - 1 > 60


def mixed_plan(path: Path) -> Run:
    """A load of groups that refer to each other in a ring, and of files, in chunks of two records."""
    files = []
    for name in ("a", "b"):
        path.with_name(name).write_bytes(name.encode() * 5)
        row = {"type": "Document", "name": name, "xid": f"d-{name}", "file_name": name}
        files.append(row | {"content": str(path.with_name(name))})
    ring = [((None, f"xid-{n:02}"), (None, f"xid-{(n + 1) % 3:02}")) for n in range(3)]
    return plan(
        hosts(3, 1),
        REJECTS.empty_table(),
        path,
        settings=BatchSettings(owner=OWNER),
        counts={},
        groups=pa.concat_tables([named_groups(3), groups(*files)]),
        associations=associations(*ring, ((None, "d-a"), ("Host", "host-00000.example"))),
        max_records=2,
    )


def check_mixed(platform: FakePlatform, report: LoadReport) -> None:
    assert (report.sent, report.succeeded, report.failed, report.unattributed) == (14, 13, 1, 0)
    assert set(platform.loaded().values()) == {1}, "records loaded twice"
    assert platform.files.kept == {"d-a": b"aaaaa", "d-b": b"bbbbb"}
    assert set(platform.files.sent.values()) == {1}, "files sent twice"


def test_a_death_in_any_moment_of_a_mixed_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)  # only processes die here
    planned = mixed_plan(tmp_path / "planned")
    moments = 0
    for fatal in range(1, 10_000, 4):
        platform = FakePlatform(polls=0)
        run = Run.open(shutil.copytree(planned.path, tmp_path / f"run-{fatal}"))

        def strike(moment: int, what: str, fatal: int = fatal) -> None:
            if moment == fatal:
                raise Death(what)

        with pytest.MonkeyPatch.context() as patch:
            fate = Fate(platform, patch, strike)
            try:
                report = submit(platform, run, max_errors=1, in_flight=3)
            except Death:
                report = submit(platform, run, max_errors=1, in_flight=3)
            else:
                moments = fate.moment
        check_mixed(platform, report)
        if moments:
            break
    assert fatal - 4 <= moments < fatal
    assert moments > 100


@pytest.mark.parametrize("seed", range(40))
def test_many_deaths_and_failures(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    platform = FakePlatform(polls=chance.randint(0, 3))

    def strike(moment: int, what: str) -> None:
        if chance.random() < 0.04:
            raise Death(what)
        if what.split()[1] in ("create", "upload", "status", "errors", "results") and chance.random() < 0.1:
            lost = what.startswith("after")
            raise chance.choice(
                [
                    ConnectionFailedError(what, outcome_unknown=lost or chance.random() < 0.5),
                    ApiError(what, status=502 if lost else chance.choice([429, 500, 502, 503])),
                ]
            )

    with pytest.MonkeyPatch.context() as monkeypatch:
        Fate(platform, monkeypatch, strike)
        for report in lives(platform, tmp_path / "run"):
            check(platform, report)
            return
    pytest.fail("the load never ended")


def lives(platform: FakePlatform, path: Path) -> Iterator[LoadReport]:
    """Start the load anew after every death and every error, as an operator or a person would."""
    for _ in range(300):
        try:
            yield load(platform, path)
        except (Death, ApiError, ConnectionFailedError):
            continue
        except LoadError as error:
            if not {"reach", "refused"} & set(error.message.split()):  # anything but an upload that did not come off
                raise


def test_a_file_half_written_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tcetl.load.storage import write_whole

    path = tmp_path / "receipt.json"
    write_whole(path, b"old")

    def die(descriptor: int) -> None:
        raise Death

    monkeypatch.setattr("os.fsync", die)
    with pytest.raises(Death):
        write_whole(path, b"new and longer")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["receipt.json"]
