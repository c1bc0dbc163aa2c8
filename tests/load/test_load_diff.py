"""What a load would change: the diff before it, held against what the emulator does when it is really sent."""

import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from fake_platform import indicators

from tcetl.client import ThreatConnect
from tcetl.client.batch import BatchSettings
from tcetl.errors import PublishError
from tcetl.load import Run, plan, submit
from tcetl.load.diff import diff
from tcetl.pipeline import preview_feed, preview_run
from tcetl.schema import REJECTS

if TYPE_CHECKING:
    from tcetl.emulator import Emulator

OWNER = "Demo Source"
MD5, SHA1, SHA256 = "a" * 32, "b" * 40, "c" * 64


@pytest.fixture
def tc(tc_emulator: "Emulator", monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreatConnect]:
    monkeypatch.setattr(sys.modules["tcetl.load.submit"], "POLL", (0.02, 0.2))
    with ThreatConnect(
        base_url=tc_emulator.url, access_id=tc_emulator.access_id, secret_key=tc_emulator.secret_key
    ) as connection:
        yield connection


def planned(path: Path, values: list[tuple[str, str]], max_records: int = 100, **columns: Any) -> Run:
    settings = {name: columns.pop(name) for name in list(columns) if name.endswith("type") or name == "action"}
    job = BatchSettings(owner=OWNER, **settings)
    table = indicators(values, **columns)
    return plan(table, REJECTS.empty_table(), path, settings=job, counts={}, max_records=max_records)


def loaded(tc: ThreatConnect, path: Path, values: list[tuple[str, str]], **columns: Any) -> None:
    submit(tc, planned(path, values, **columns))


def tags(*names: str) -> list[dict[str, str]]:
    return [{"name": name} for name in names]


VALUES = [
    ("Address", "192.0.2.1"),
    ("Address", "2001:db8::1"),
    ("File", f"{MD5} : {SHA256}".upper()),
    ("Host", "bad.example"),
    ("URL", "http://bad.example/a,b?c=d%2C/ä"),
    ("Mutex", "Case : Sensitive,"),
    ("Registry Key", "HKEY_LOCAL_MACHINE\\Software\\Bad : Run : REG_SZ"),
]


@pytest.mark.parametrize("reading", ["pages", "lookups"])
def test_new_then_unchanged_for_every_type(
    tc: ThreatConnect, tmp_path: Path, reading: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tcetl.load.held.LOOKUP", 0 if reading == "lookups" else 10**9)
    run = planned(tmp_path / "run", VALUES, max_records=2, rating=4.0, confidence=50, tags=tags("one"))
    first = diff(tc, run)
    assert first.outcomes == {"new": len(VALUES)}
    submit(tc, run)
    told: list[tuple[int, int | None]] = []
    again = planned(tmp_path / "again", VALUES, max_records=2, rating=4.0, confidence=50, tags=tags("one"))
    second = diff(tc, again, on_progress=lambda stage, done, total: told.append((done, total)))
    assert second.outcomes == {"unchanged": len(VALUES)}
    assert set(second.reading.values()) == {reading}
    assert told[-1][0] == told[-1][1]
    assert diff(tc, run).outcomes == {}, "what was sent is not to come"


def test_fields_tags_and_attributes_by_write_type(tc: ThreatConnect, tmp_path: Path) -> None:
    note, other = "Additional Analysis and Context", "Analyst Notes"
    before = {"type": note, "value": "seen"}
    loaded(tc, tmp_path / "a", [("Host", "a.example")], rating=3.0, tags=tags("x", "y"), attributes=[before])
    now = {"rating": 5.0, "confidence": 7, "description": "new", "tags": tags("y", "z")}
    now["attributes"] = [{"type": other, "value": "block"}]

    def fields(**settings: Any) -> dict[str, tuple[str, str]]:
        run = planned(tmp_path / f"{len(list(tmp_path.iterdir()))}", [("Host", "a.example")], **now, **settings)
        (example,) = diff(tc, run).examples["changed"]
        return {change.field: (change.was, change.becomes) for change in example.changes}

    plain = {"rating": ("3", "5"), "confidence": ("", "7"), "description": ("", "new")}
    added = {"attributes added": ("", f"{other}: block")}
    removed = {"attributes removed": (f"{note}: seen", "")}
    assert fields() == plain | added | removed | {"tags added": ("", "z"), "tags removed": ("x", "")}
    assert fields(tag_write_type="Append", attribute_write_type="Append") == plain | added | {"tags added": ("", "z")}
    assert "attributes removed" not in fields(attribute_write_type="Singleton")
    static = fields(attribute_write_type="Static")
    assert not {"description", "attributes added", "attributes removed"} & static.keys()


def test_inactive_indicators_and_files_by_any_hash_are_found(tc: ThreatConnect, tmp_path: Path) -> None:
    loaded(tc, tmp_path / "a", [("Host", "a.example")], active=False)
    loaded(tc, tmp_path / "b", [("File", SHA256.upper())], md5=None, sha1=None, sha256=SHA256)
    values = [("Host", "a.example"), ("File", f"{MD5} : {SHA256}".upper())]
    run = planned(tmp_path / "c", values, md5=MD5, sha256=SHA256, active=True)
    found = diff(tc, run)
    assert found.outcomes == {"changed": 2}
    assert found.fields == {"active": 1, "hashes": 1}


def test_files_that_would_be_merged_are_told(tc: ThreatConnect, tmp_path: Path) -> None:
    loaded(tc, tmp_path / "a", [("File", MD5.upper())], md5=MD5)
    loaded(tc, tmp_path / "b", [("File", SHA1.upper())], sha1=SHA1)
    run = planned(tmp_path / "c", [("File", f"{MD5} : {SHA1}".upper())], md5=MD5, sha1=SHA1)
    (example,) = diff(tc, run).examples["changed"]
    assert ("files merged", "2", "Merge") in {(one.field, one.was, one.becomes) for one in example.changes}


def test_a_load_that_deletes(tc: ThreatConnect, tmp_path: Path) -> None:
    loaded(tc, tmp_path / "a", [("Host", "a.example")])
    run = planned(tmp_path / "b", [("Host", "a.example"), ("Host", "b.example")], action="Delete")
    assert diff(tc, run).outcomes == {"deleted": 1, "not there": 1}


def test_types_that_the_instance_does_not_have(tc: ThreatConnect, tmp_path: Path) -> None:
    found = diff(tc, planned(tmp_path / "a", [("Host", "a.example"), ("No Such Type", "x")]))
    assert (found.outcomes, found.not_compared) == ({"new": 1}, {"No Such Type": 1})


@pytest.mark.parametrize("attribute_write_type", ["Append", "Replace", "Singleton", "Static"])
@pytest.mark.parametrize("list_write_type", ["Append", "Replace"])
def test_the_diff_is_what_the_platform_then_does(
    tc: ThreatConnect, tc_emulator: "Emulator", tmp_path: Path, attribute_write_type: str, list_write_type: str
) -> None:
    """Random records over random ones: the emulator, which knows nothing of our code, says what has changed."""
    chance = random.Random(f"{attribute_write_type} {list_write_type}")
    types = ("Additional Analysis and Context", "Analyst Notes", "Description")

    def columns() -> dict[str, Any]:
        attributes = [
            {"type": chance.choice(types), "value": chance.choice("ab"), "displayed": False}
            for _ in range(chance.randrange(3))
        ]
        return {
            "rating": chance.choice([None, 1.0, 2.0]),
            "confidence": chance.choice([None, 10, 20]),
            "description": chance.choice([None, "one", "two"]),
            "tags": tags(*sorted({chance.choice("xyz") for _ in range(chance.randrange(3))})),
            "attributes": attributes,
            "security_labels": sorted({chance.choice(["TLP:AMBER", "TLP:GREEN"]) for _ in range(chance.randrange(3))}),
        }

    def rows(count: int, path: Path) -> Run:
        parts = [indicators([("Host", f"host-{n}.example")], **columns()) for n in range(count)]
        job = BatchSettings(
            owner=OWNER,
            attribute_write_type=attribute_write_type,
            tag_write_type=list_write_type,
            security_label_write_type=list_write_type,
        )
        return plan(pa.concat_tables(parts), REJECTS.empty_table(), path, settings=job, counts={}, max_records=7)

    def held(number: int) -> dict[str, Any] | None:
        stored = tc_emulator.indicator(OWNER, "Host", f"host-{number}.example")
        if stored is None:
            return None
        shown = {name: stored.get(name) for name in ("rating", "confidence", "description")}
        attributes = Counter((one["type"], one["value"], one["displayed"]) for one in stored["attributes"] or ())
        lists = {name: sorted(one["name"] for one in stored[name] or ()) for name in ("tags", "labels")}
        return shown | lists | {"attributes": attributes}

    submit(tc, rows(20, tmp_path / "before"))
    before = [held(number) for number in range(30)]
    run = rows(30, tmp_path / "after")
    told = diff(tc, run, examples=100)
    submit(tc, run)
    outcome = {int(one.summary[5:-8]): name for name, some in told.examples.items() for one in some}
    for number in range(30):
        after = held(number)
        really = "new" if before[number] is None else "unchanged" if before[number] == after else "changed"
        assert outcome[number] == really, (number, before[number], after)


def test_nothing_is_written_anywhere(tc: ThreatConnect, tc_emulator: "Emulator", tmp_path: Path) -> None:
    feed = tmp_path / "feed.csv"
    feed.write_text("domain\na.example\nb.example\nnot a thing\n")
    shown = preview_feed(feed, OWNER, tmp_path / "run", diff_with=tc)
    assert shown.records == {"Host": 2}
    assert shown.diff is not None
    assert shown.diff.outcomes == {"new": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["feed.csv"]
    assert not tc_emulator.journal(method="POST")
    run = planned(tmp_path / "run", [("Host", "a.example")])
    shown = preview_run(run.path)
    assert (shown.jobs, shown.samples) == (1, [{"type": "Host", "hostName": "a.example"}])


def test_a_full_disk_for_what_the_owner_holds(
    tc: ThreatConnect, tmp_path: Path, little_room: Callable[[int], None]
) -> None:
    values = [("Host", f"h{n}.example") for n in range(200)]
    loaded(tc, tmp_path / "a", values, max_records=1000)
    run = planned(tmp_path / "b", values, max_records=1000)
    little_room(2_000)
    with pytest.raises(PublishError, match=r"tcetl-held-.*: File too large") as caught:
        diff(tc, run)
    assert caught.value.hint
