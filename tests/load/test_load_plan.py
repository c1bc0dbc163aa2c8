import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_platform import OWNER, hosts, indicators
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from upath import UPath

from tcetl.client.batch import BatchSettings
from tcetl.errors import LoadError, PublishError, ReconciliationError
from tcetl.load import Run, plan
from tcetl.schema import INDICATORS, REJECTS

SETTINGS = BatchSettings(owner=OWNER)


def planned(table: pa.Table, path: Any, **limits: int) -> Run:
    return plan(table, REJECTS.empty_table(), path, settings=SETTINGS, counts={}, **limits)


def records(run: Run) -> list[dict[str, Any]]:
    return [record for chunk in run.chunks for record in json.loads(run.content(chunk.chunk))["indicator"]]


def one(tmp_path: Path, kind: str, summary: str, **columns: Any) -> dict[str, Any]:
    (record,) = records(planned(indicators([(kind, summary)], **columns), tmp_path / f"run-{kind}"))
    return record


@pytest.mark.parametrize(
    ("kind", "summary", "value"),
    [
        ("Address", "192.0.2.1", {"ip": "192.0.2.1"}),
        ("EmailAddress", "bad@example.com", {"address": "bad@example.com"}),
        ("Host", "bad.example", {"hostName": "bad.example"}),
        ("URL", 'http://bad.example/ä?x="1"\n', {"text": 'http://bad.example/ä?x="1"\n'}),
        ("ASN", "ASN64500", {"AS Number": "ASN64500"}),
        ("CIDR", "192.0.2.0/24", {"Block": "192.0.2.0/24"}),
        ("Mutex", "a mutex", {"Mutex": "a mutex"}),
        ("User Agent", "Mozilla/5.0", {"User Agent String": "Mozilla/5.0"}),
        ("Email Subject", "Hi", {"Subject": "Hi"}),
        ("Hashtag", "#x", {"Hashtag": "#x"}),
        ("Custom Thing", "anything", {"summary": "anything"}),
        (
            "Registry Key",
            "HKEY_USERS\\a : Run : REG_SZ",
            {"Key Name": "HKEY_USERS\\a", "Value Name": "Run", "Value Type": "REG_SZ"},
        ),
        (
            "Registry Key",
            "HKEY_USERS\\a :   : REG_NONE",
            {"Key Name": "HKEY_USERS\\a", "Value Name": " ", "Value Type": "REG_NONE"},
        ),
        ("Registry Key", "HKEY_USERS", {"summary": "HKEY_USERS"}),
        ("File", "0" * 32, {"summary": "0" * 32}),
    ],
)
def test_each_type_has_its_own_value_keys(tmp_path: Path, kind: str, summary: str, value: dict[str, str]) -> None:
    assert one(tmp_path, kind, summary) == {"type": kind, **value}


def test_files_go_by_their_hashes(tmp_path: Path) -> None:
    record = one(tmp_path, "File", f"{'a' * 32} : {'b' * 64}", md5="a" * 32, sha256="b" * 64, size=68)
    assert record == {"type": "File", "md5": "a" * 32, "sha256": "b" * 64, "size": 68}


def test_everything_known_of_an_indicator_is_sent(tmp_path: Path) -> None:
    record = one(
        tmp_path,
        "Host",
        "bad.example",
        rating=3.0,
        confidence=73,
        active=False,
        active_locked=True,
        private_flag=False,
        description="C2",
        source="the feed",
        first_seen=datetime(2024, 5, 1, 12, 0, 0, 999, tzinfo=UTC),
        last_seen=datetime(2024, 5, 2, tzinfo=UTC),
        dns_active=True,
        whois_active=False,
        tags=[{"name": "a"}, {"name": "b", "web_link": "x"}],
        attributes=[
            {"type": "A", "value": "v", "source": "s", "displayed": True, "id": 7},
            {"type": "Z", "value": ',"source":null'},
        ],
        security_labels=["Internal", "TLP:RED"],
        owner_name="Somebody Else",
        id=12,
        web_link="https://example.com",
    )
    assert record == {
        "type": "Host",
        "hostName": "bad.example",
        "rating": 3,
        "confidence": 73,
        "active": False,
        "activeLocked": True,
        "privateFlag": False,
        "description": "C2",
        "firstSeen": "2024-05-01T12:00:00Z",
        "lastSeen": "2024-05-02T00:00:00Z",
        "flag1": True,
        "flag2": False,
        "attribute": [
            {"type": "A", "value": "v", "source": "s", "displayed": True},
            {"type": "Z", "value": ',"source":null'},
            {"type": "Source", "value": "the feed", "displayed": True},
        ],
        "tag": [{"name": "a"}, {"name": "b"}],
        "securityLabel": [{"name": "Internal"}, {"name": "TLP:RED"}],
    }


def test_a_source_attribute_is_not_sent_twice(tmp_path: Path) -> None:
    record = one(tmp_path, "Host", "a.example", source="x", attributes=[{"type": "Source", "value": "x"}])
    assert record["attribute"] == [{"type": "Source", "value": "x"}]


text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20) | st.sampled_from(
    [',"rating":null', '"tag":[]', "\\", '"', '","source":null', "}],{"]
)
row = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["Host", "URL", "File", "Registry Key", "Mutex", "Custom"]),
        "summary": text,
        "owner_name": st.just("Feed"),
        "rating": st.none() | st.floats(0, 5),
        "confidence": st.none() | st.integers(0, 100),
        "description": st.none() | text,
        "source": st.none() | text,
        "active": st.none() | st.booleans(),
        "tags": st.lists(st.fixed_dictionaries({"name": text}), max_size=3),
        "attributes": st.lists(
            st.fixed_dictionaries({"type": text, "value": st.none() | text, "source": st.none() | text}), max_size=3
        ),
        "security_labels": st.lists(text, max_size=2),
    }
)
rows = st.lists(row, max_size=25, unique_by=lambda record: (record["type"], record["summary"]))


@given(rows, st.randoms(use_true_random=False), st.integers(1, 7), st.integers(20, 1500))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_same_rows_in_any_order_give_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, given_rows: list[dict[str, Any]], random: Any, most: int, size: int
) -> None:
    path = tmp_path_factory.mktemp("plan")
    shuffled = random.sample(given_rows, len(given_rows))
    limits = {"max_records": most, "max_bytes": size}
    first = planned(pa.Table.from_pylist(given_rows, schema=INDICATORS), path / "a", **limits)
    second = planned(pa.Table.from_pylist(shuffled, schema=INDICATORS), path / "b", **limits)
    assert first.chunks == second.chunks
    assert [first.content(n) for n in range(len(first.chunks))] == [second.content(n) for n in range(len(first.chunks))]

    too_large = pq.read_table(first.planned_rejects_path)
    assert sum(chunk.records for chunk in first.chunks) + too_large.num_rows == len(given_rows)
    assert too_large.num_rows == first.plan.rejected.get("too-large", 0)
    assert all(chunk.records <= most and chunk.bytes <= size for chunk in first.chunks)
    assert all(len(record) + 16 > size for record in map(str.encode, too_large["record"].to_pylist()))
    for chunk in first.chunks:
        sent = json.loads(first.content(chunk.chunk))["indicator"]
        origins = first.origins(chunk.chunk)
        assert [record["type"] for record in sent] == origins["type"].to_pylist()
        assert chunk.records == len(sent)
        assert b"null" not in first.content(chunk.chunk) or "null" in repr(sent)
    by_name = {(record["type"], record["summary"]): record for record in given_rows}
    for chunk in first.chunks:
        sent = json.loads(first.content(chunk.chunk))["indicator"]
        for record, name in zip(sent, first.origins(chunk.chunk).to_pylist(), strict=True):
            source = by_name[name["type"], name["summary"]]
            assert record.get("description") == source["description"]
            assert record.get("confidence") == source["confidence"]
            assert record.get("tag", []) == source["tags"]
            had = {"Source"} if source["source"] is not None else set()
            assert {a["type"] for a in record.get("attribute", [])} == {a["type"] for a in source["attributes"]} | had


def test_chunks_are_as_full_as_their_limits_allow(tmp_path: Path) -> None:
    run = planned(hosts(25_001), tmp_path / "run", max_records=10_000)
    assert [chunk.records for chunk in run.chunks] == [10_000, 10_000, 5_001]
    size = len(run.content(0)) // 4
    by_size = planned(hosts(25_001), tmp_path / "small", max_records=25_000, max_bytes=size)
    assert all(size - 100 < chunk.bytes <= size for chunk in by_size.chunks[:-1])
    assert records(by_size) == records(run)


def test_a_record_that_fits_no_chunk_is_rejected_with_its_origin(tmp_path: Path) -> None:
    table = pa.concat_tables([hosts(3), indicators([("URL", "http://a.example/" + "x" * 500)])])
    run = plan(
        table, REJECTS.empty_table(), tmp_path / "run", settings=SETTINGS, counts={"rows_read": 4}, max_bytes=300
    )
    (row,) = pq.read_table(run.planned_rejects_path).to_pylist()
    assert (row["code"], row["stage"], row["type"], row["row"]) == ("too-large", "load", "URL", 1)
    assert sum(chunk.records for chunk in run.chunks) == 3


def test_origins_keep_row_and_raw_value(tmp_path: Path) -> None:
    run = planned(hosts(3).take([2, 0, 1]), tmp_path / "run")
    assert run.origins(0).to_pylist()[2] == {
        "type": "Host",
        "summary": "host-00002.example",
        "xid": None,
        "source": "feed",
        "file": "feed.csv",
        "row": 3,
        "pointer": None,
        "raw": "raw host-00002.example",
    }


def test_a_planned_run_opens_as_it_was_planned(tmp_path: Path) -> None:
    job = BatchSettings(owner=OWNER, action="Delete", halt_on_error=True, hash_collision_mode="Split")
    counts = {"rows_read": 5, "rejected": {"bad-url": 1}, "duplicates": 1, "indicators": {"Host": 3}}
    run = plan(hosts(3), REJECTS.empty_table(), tmp_path / "run", settings=job, counts=counts)
    again = Run.open(str(tmp_path / "run"))
    assert again == run
    assert (again.settings, again.counts) == (job, counts)
    assert {receipt.phase for receipt in again.receipts()} == {"planned"}


def test_counts_that_do_not_fit_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ReconciliationError, match="5 rows read"):
        plan(hosts(3), REJECTS.empty_table(), tmp_path / "run", settings=SETTINGS, counts={"rows_read": 5})
    assert not (tmp_path / "run").exists()


def test_a_plan_is_never_replaced_but_the_remains_of_one_are(tmp_path: Path) -> None:
    run = planned(hosts(3), tmp_path / "run", max_records=1)
    with pytest.raises(LoadError, match="already holds"):
        planned(hosts(3), tmp_path / "run")
    (tmp_path / "run" / "plan.json").unlink()
    with pytest.raises(LoadError, match="holds no planned load"):
        Run.open(tmp_path / "run")
    assert not Run.is_planned(tmp_path / "run")
    planned(hosts(2), tmp_path / "run")
    assert [path.name for path in (run.path / "receipts").iterdir()] == ["00000.json"]


def test_an_indicator_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"Host 'a\.example' is there more than once"):
        planned(indicators([("Host", "a.example"), ("URL", "a.example"), ("Host", "a.example")]), tmp_path / "run")


@pytest.mark.parametrize("most", [0, 25_001])
def test_a_limit_beyond_the_platforms_is_refused(tmp_path: Path, most: int) -> None:
    with pytest.raises(LoadError, match=f"max_records is {most}"):
        planned(hosts(1), tmp_path / "run", max_records=most)


@pytest.mark.parametrize("document", ["{", "{}", '{"format": 99}'])
def test_a_damaged_plan_says_so(tmp_path: Path, document: str) -> None:
    planned(hosts(1), tmp_path / "run")
    (tmp_path / "run" / "plan.json").write_text(document)
    with pytest.raises(LoadError, match="is damaged"):
        Run.open(tmp_path / "run")


def test_a_plan_of_a_newer_layout_is_refused(tmp_path: Path) -> None:
    run = planned(hosts(1), tmp_path / "run")
    path = run.path / "plan.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(LoadError, match="newer tcetl"):
        Run.open(tmp_path / "run")


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PublishError, match="cannot write"):
        planned(hosts(1), tmp_path / "file" / "run")


def test_a_run_directory_may_lie_in_a_store() -> None:
    run = planned(hosts(5), UPath("memory://runs/plan-test"), max_records=2)
    assert Run.is_planned("memory://runs/plan-test")
    assert len(records(Run.open("memory://runs/plan-test"))) == 5
    assert run.origins(2)["row"].to_pylist() == [5]
