"""Planning of what travels with indicators: groups, associations, file occurrences, labels and files."""

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_platform import OWNER, hosts, indicators
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mixed import associations, groups, labels, named_groups, occurrences

from tcetl.client.batch import BatchSettings
from tcetl.errors import LoadError, ReconciliationError
from tcetl.groups import GROUP_TYPES, group_xid
from tcetl.load import Run, plan
from tcetl.schema import GROUPS, REJECTS

MOMENT = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)
SAID = "2026-03-04T05:06:07Z"


def planned(path: Path, table: pa.Table | None = None, *, counts: Any = None, **given: Any) -> Run:
    settings_ = given.pop("settings", BatchSettings(owner=OWNER))
    table = hosts(0) if table is None else table
    return plan(table, REJECTS.empty_table(), path, settings=settings_, counts=counts or {}, **given)


def records(run: Run, kind: str) -> list[dict[str, Any]]:
    return [json.loads(record) for chunk in run.chunks if chunk.kind == kind for record in run.records(chunk.chunk)]


def rejects(run: Run) -> list[dict[str, Any]]:
    return pq.read_table(run.planned_rejects_path).to_pylist()


OWN: dict[str, dict[str, Any]] = {
    "Document": {"file_name": "a.zip", "malware": True, "password": "infected"},
    "Email": {"subject": "Hi", "header": "From: a", "body": "b", "from": "a@example.com", "to": "b@example.com"},
    "Event": {"event_date": MOMENT, "status": "Escalated", "event_type": "Breach"},
    "Incident": {"event_date": MOMENT, "status": "Open"},
    "Report": {"file_name": "r.pdf", "publish_date": MOMENT, "insights": "i", "ai_provider": "p"},
    "Signature": {"file_name": "s.yar", "file_type": "YARA", "file_text": 'rule a { strings: $a = "\\"null" }'},
}
WIRE = {
    "Document": {"fileName": "a.zip", "malware": True, "password": "infected"},
    "Event": {"eventDate": SAID, "status": "Escalated", "eventType": "Breach"},
    "Incident": {"eventDate": SAID, "status": "Open"},
    "Report": {"fileName": "r.pdf", "publishDate": SAID, "insights": "i", "aiProvider": "p"},
    "Signature": {"fileName": "s.yar", "fileType": "YARA", "fileText": 'rule a { strings: $a = "\\"null" }'},
}


@pytest.mark.parametrize("kind", sorted(GROUP_TYPES))
def test_each_group_type_has_its_own_keys(tmp_path: Path, kind: str) -> None:
    run = planned(tmp_path / "run", groups=groups({"type": kind, "name": "A name", "xid": "x"} | OWN.get(kind, {})))
    assert records(run, "group") == [{"type": kind, "name": "A name", "xid": "x"} | WIRE.get(kind, OWN.get(kind, {}))]
    assert pq.read_table(run.path / "chunks" / "00000.origins.parquet").to_pylist()[0]["xid"] == "x"


def test_everything_a_group_can_carry(tmp_path: Path) -> None:
    row = {
        "type": "Campaign",
        "name": 'Spring "26", null',
        "xid": "c-1",
        "description": "What it is",
        "source": "https://example.com",
        "tags": [{"name": "phish"}, {"name": 'a","b":null'}],
        "attributes": [
            {"type": "Impact Score", "value": "9", "source": "me", "pinned": True, "security_labels": ["TLP:AMBER"]},
            {"type": "Source", "value": "already there", "displayed": False},
        ],
        "security_labels": ["TLP:RED", "House"],
        **dict.fromkeys(
            ("first_seen", "last_seen", "external_date_added", "external_last_modified", "external_date_expires"),
            MOMENT,
        ),
    }
    run = planned(
        tmp_path / "run", groups=groups(row), labels=labels(("House", "00ff00", "Ours"), ("Other", "000000", "-"))
    )
    (record,) = records(run, "group")
    assert record == {
        "type": "Campaign",
        "name": 'Spring "26", null',
        "xid": "c-1",
        "firstSeen": SAID,
        "lastSeen": SAID,
        "externalDateAdded": SAID,
        "externalLastModified": SAID,
        "externalDateExpires": SAID,
        "attribute": [
            {
                "type": "Impact Score",
                "value": "9",
                "source": "me",
                "pinned": True,
                "securityLabel": [{"name": "TLP:AMBER"}],
            },
            {"type": "Source", "value": "already there", "displayed": False},
            {"type": "Description", "value": "What it is", "displayed": True},
        ],
        "tag": [{"name": "phish"}, {"name": 'a","b":null'}],
        "securityLabel": [{"name": "TLP:RED"}, {"name": "House", "color": "00ff00", "description": "Ours"}],
    }


def test_labels_pins_and_labelled_attributes_of_indicators(tmp_path: Path) -> None:
    attributes = [{"type": "Port", "value": "80", "pinned": False, "security_labels": ["House"]}]
    table = indicators([("Host", "a.example")], attributes=attributes, security_labels=["House"])
    (record,) = records(planned(tmp_path / "run", table, labels=labels(("House", "00ff00", "Ours"))), "indicator")
    house = [{"name": "House", "color": "00ff00", "description": "Ours"}]
    assert record["securityLabel"] == house
    assert record["attribute"] == [{"type": "Port", "value": "80", "pinned": False, "securityLabel": house}]


def test_a_color_that_is_none_is_told_before_anything_is_planned(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="the security label 'House' has the color '#00ff00'"):
        planned(tmp_path / "run", groups=named_groups(1), labels=labels(("House", "#00ff00", "Ours")))
    assert not Run.is_planned(tmp_path / "run")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # tcex's own
def test_a_group_without_xid_gets_the_same_one_every_time(tmp_path: Path) -> None:
    from tcex.api.tc.v2.batch.batch import Batch

    run = planned(tmp_path / "run", groups=groups({"type": "Threat", "name": "Ünë", "xid": ""}))
    (record,) = records(run, "group")
    assert record["xid"] == group_xid(OWNER, "Threat", "Ünë") == Batch.generate_xid([OWNER, "Threat", "Ünë"])


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"type": "Threat", "name": ""}, "the name has 0 characters"),
        ({"type": "Threat", "name": "x" * 101}, "the name has 101 characters"),
        ({"type": "Document", "name": "x"}, "it has no file_name, which a Document needs"),
        ({"type": "Signature", "name": "x", "file_name": "x", "file_type": "YARA"}, "it has no file_text"),
        ({"type": "Incident", "name": "x", "file_name": "x"}, "it has file_name, which no Incident has"),
        ({"type": "Threat", "name": "x", "content": "/tmp/x"}, "it has content, which no Threat has"),
        ({"type": "Document", "name": "x", "file_name": "x", "malware": True}, "malware needs its ZIP's password"),
        ({"type": "Event", "name": "x", "insights": "x"}, "insights need their ai_provider"),
    ],
)
def test_what_is_no_whole_group_is_rejected_with_its_row(tmp_path: Path, row: dict[str, Any], why: str) -> None:
    run = planned(tmp_path / "run", groups=groups({"type": "Tool", "name": "fine"}, row))
    (reject,) = rejects(run)
    assert why in reject["reason"]
    assert (reject["code"], reject["kind"], reject["row"], reject["summary"]) == ("bad-group", "group", 2, row["name"])
    assert (run.plan.rejected, len(records(run, "group"))) == ({"bad-group": 1}, 1)


def test_a_group_type_that_we_do_not_know_is_the_platforms_to_judge(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", groups=groups({"type": "New", "name": "x", "xid": "n", "subject": "s"}))
    assert records(run, "group") == [{"type": "New", "name": "x", "xid": "n", "subject": "s"}]


def test_repeated_groups_are_one_and_contradicting_ones_are_told(tmp_path: Path) -> None:
    rows = [
        {"type": "Threat", "name": "A", "xid": "1"},
        {"type": "Threat", "name": "A", "xid": "1"},
        {"type": "Threat", "name": "B", "xid": "1"},
        {"type": "Threat", "name": "C"},
        {"type": "Threat", "name": "C"},
    ]
    run = planned(tmp_path / "run", groups=groups(*rows), counts={"rows_read": 5})
    assert [record["name"] for record in records(run, "group")] == ["A", "C"]
    assert (run.plan.duplicates, run.plan.rejected) == (2, {"same-xid": 1})
    told = {(row["stage"], row["code"], row["summary"], row["xid"]) for row in rejects(run)}
    assert told == {
        ("duplicate", "duplicate", "A", "1"),
        ("load", "same-xid", "B", "1"),
        ("duplicate", "duplicate", "C", group_xid(OWNER, "Threat", "C")),
    }


ALL_KINDS = [
    ((None, "xid-00"), ("Threat", "xid-01")),
    (("Threat", "xid-00"), ("Host", "a.example")),
    (("Host", "b.example"), (None, "xid-01")),
    (("URL", "http://a.example/"), ("Host", "a.example")),
    ((None, 12), ("Host", 345)),
]


def test_all_kinds_of_associations_are_records_of_a_later_wave(tmp_path: Path) -> None:
    joined = associations(*ALL_KINDS, association_type="URL Host")
    run = planned(tmp_path / "run", hosts(2), groups=named_groups(2), associations=joined)
    assert [(chunk.kind, chunk.wave) for chunk in run.chunks] == [("group", 0), ("indicator", 0), ("association", 1)]
    assert sorted(records(run, "association"), key=json.dumps) == sorted(
        [
            {"ref_1": "xid-00", "type_1": "Threat", "ref_2": "xid-01", "type_2": "Threat"},
            {"ref_1": "xid-00", "type_1": "Threat", "ref_2": "a.example", "type_2": "Host"},
            {"ref_1": "b.example", "type_1": "Host", "ref_2": "xid-01", "type_2": "Threat"},
            {
                "ref_1": "http://a.example/",
                "type_1": "URL",
                "ref_2": "a.example",
                "type_2": "Host",
                "associationType": "URL Host",
            },
            {"id_1": 12, "id_2": 345, "type_2": "Host"},
        ],
        key=json.dumps,
    )


def test_groups_without_xid_are_associated_by_type_and_name(tmp_path: Path) -> None:
    table = groups(
        {"type": "Threat", "name": "A"}, {"type": "Tool", "name": "A"}, {"type": "Tool", "name": "own", "xid": "A"}
    )
    joined = associations((("Threat", "A"), ("Tool", "A")), ((None, "A"), (None, "elsewhere")))
    run = planned(tmp_path / "run", groups=table, associations=joined)
    assert sorted(records(run, "association"), key=json.dumps) == sorted(
        [
            # The Tool whose xid is "A" comes before the Tool that is called so.
            {"ref_1": group_xid(OWNER, "Threat", "A"), "type_1": "Threat", "ref_2": "A", "type_2": "Tool"},
            {"ref_1": "A", "type_1": "Tool", "ref_2": "elsewhere"},
        ],
        key=json.dumps,
    )


def test_an_association_is_one_from_either_end_and_however_its_group_is_called(tmp_path: Path) -> None:
    joined = associations(
        (("Threat", "xid-00"), ("Host", "a.example")),
        (("Host", "a.example"), ("Threat", "xid-00")),
        ((None, "xid-00"), ("Host", "a.example")),
        (("Threat", "Group by name"), ("Host", "a.example")),
    )
    table = pa.concat_tables([named_groups(1), groups({"type": "Threat", "name": "Group by name"})])
    run = planned(tmp_path / "run", groups=table, associations=joined, counts={"rows_read": 6})
    assert len(records(run, "association")) == 2
    assert run.plan.duplicates == 2
    assert {(row["stage"], row["kind"]) for row in rejects(run)} == {("duplicate", "association")}


@pytest.mark.parametrize(
    ("pair", "code"),
    [
        ((("Host", "a.example"), ("URL", "http://a.example/")), "no-association-type"),
        ((("Threat", "x"), ("Threat", "x")), "self-association"),
        (((None, "xid-00"), ("Threat", "xid-00")), "self-association"),
        (((None, None), ("Threat", "x")), "no-end"),
        (((None, ""), ("Threat", "x")), "no-end"),
    ],
)
def test_what_is_no_association_is_rejected_with_its_row(tmp_path: Path, pair: Any, code: str) -> None:
    run = planned(tmp_path / "run", groups=named_groups(1), associations=associations(pair))
    (reject,) = rejects(run)
    assert (reject["code"], reject["kind"], reject["row"]) == (code, "association", 1)
    assert not records(run, "association")


def test_occurrences_travel_in_their_files(tmp_path: Path) -> None:
    seen = occurrences(
        {"summary": "0" * 32, "file_name": "b.exe", "path": "C:\\Temp", "date": MOMENT},
        {"summary": "0" * 32, "file_name": "a.exe"},
        {"summary": "0" * 32, "path": "/tmp"},
        {"summary": "0" * 32, "date": MOMENT},
        {"summary": "0" * 32, "file_name": "a.exe"},
        {"summary": "0" * 32},
        {"summary": "1" * 32, "file_name": "other.exe"},
        {"summary": "a.example", "file_name": "other.exe"},
    )
    table = indicators([("File", "0" * 32), ("File", "2" * 32), ("Host", "a.example")])
    run = planned(tmp_path / "run", table, occurrences=seen, counts={"rows_read": 11})
    assert records(run, "indicator") == [
        {
            "type": "File",
            "summary": "0" * 32,
            "fileOccurrence": [
                {"date": SAID},
                {"path": "/tmp"},
                {"fileName": "a.exe"},
                {"fileName": "b.exe", "path": "C:\\Temp", "date": SAID},
            ],
        },
        {"type": "File", "summary": "2" * 32},
        {"type": "Host", "hostName": "a.example"},
    ]
    assert (run.plan.merged, run.plan.rejected) == (5, {"empty-occurrence": 1, "unknown-file": 2})
    assert {row["row"] for row in rejects(run)} == {6, 7, 8}


def test_signatures_given_as_files_travel_as_text_and_other_files_by_themselves(tmp_path: Path) -> None:
    rule, paper = tmp_path / "rule.yar", tmp_path / "paper.pdf"
    rule.write_text("rule ä {}")
    paper.write_bytes(b"%PDF")
    signature = {"type": "Signature", "file_name": "rule.yar", "file_type": "YARA"}
    table = groups(
        signature | {"name": "as file", "xid": "s1", "content": str(rule)},
        signature | {"name": "as both", "xid": "s2", "content": str(rule), "file_text": "short"},
        signature | {"name": "as url", "xid": "s3", "content": "data:,rule%20b%20%7B%7D"},
        signature | {"name": "missing", "xid": "s4", "content": str(tmp_path / "no such file")},
        {"type": "Report", "name": "Paper", "xid": "r1", "file_name": "paper.pdf", "content": str(paper)},
        {"type": "Report", "name": "No paper", "xid": "r2", "file_name": "paper.pdf"},
    )
    run = planned(tmp_path / "run", groups=table, counts={"rows_read": 6})
    texts = {record["xid"]: record.get("fileText") for record in records(run, "group")}
    assert texts == {"s1": "rule ä {}", "s2": "short", "s3": "rule b {}", "r1": None, "r2": None}
    assert records(run, "file") == [
        {"type": "Report", "xid": "r1", "fileName": "paper.pdf", "content": str(paper)},
        {"type": "Signature", "xid": "s2", "fileName": "rule.yar", "content": str(rule)},
    ]
    assert [(chunk.kind, chunk.wave) for chunk in run.chunks] == [("group", 0), ("file", 1)]
    assert (run.plan.added, run.plan.rejected) == (2, {"no-content": 1})


def test_relative_paths_of_files_hold_wherever_the_load_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    row = {"type": "Document", "name": "D", "file_name": "d", "content": "d.bin"}
    run = planned(tmp_path / "run", groups=groups(row))
    assert records(run, "file")[0]["content"] == str(tmp_path / "d.bin")


def test_deleting_needs_no_more_than_identities(tmp_path: Path) -> None:
    table = groups({"type": "Document", "name": "D", "xid": "d", "content": "x", "tags": [{"name": "t"}]})
    run = planned(
        tmp_path / "run",
        indicators([("Host", "a.example")], rating=3.0, tags=[{"name": "t"}]),
        groups=table,
        settings=BatchSettings(owner=OWNER, action="Delete"),
    )
    assert records(run, "group") == [{"type": "Document", "name": "D", "xid": "d"}]
    assert records(run, "indicator") == [{"type": "Host", "hostName": "a.example"}]
    assert not records(run, "file")


@pytest.mark.parametrize(
    "given", [{"associations": associations(*ALL_KINDS[:1])}, {"occurrences": occurrences({"summary": "0" * 32})}]
)
def test_what_no_job_can_delete_is_refused(tmp_path: Path, given: dict[str, pa.Table]) -> None:
    with pytest.raises(LoadError, match="no associations or file occurrences"):
        planned(tmp_path / "run", settings=BatchSettings(owner=OWNER, action="Delete"), **given)
    assert not Run.is_planned(tmp_path / "run")


def test_rows_of_every_table_count(tmp_path: Path) -> None:
    given = {"groups": named_groups(2), "associations": associations(*ALL_KINDS[:1])}
    with pytest.raises(ReconciliationError, match="4 rows read are not 0 rejected \\+ 0 duplicates \\+ 5 to load"):
        planned(tmp_path / "run", hosts(2), counts={"rows_read": 4}, **given)
    assert planned(tmp_path / "run", hosts(2), counts={"rows_read": 5}, **given).chunks


name = st.sampled_from(["A", "B", "Ä b", 'q"', "null", "\u2028"])
group = st.fixed_dictionaries(
    {"type": st.sampled_from(["Threat", "Tool", "Incident"]), "name": name},
    optional={"xid": st.sampled_from(["x1", "x2", "x3"]), "description": name, "first_seen": st.just(MOMENT)},
)
end = st.tuples(st.sampled_from(["Threat", "Tool"]), name) | st.tuples(st.none(), st.sampled_from(["x1", "x2", "x9"]))
pair = st.tuples(end | st.tuples(st.just("Host"), st.just("host-00000.example")), end)


@given(st.lists(group, max_size=8), st.lists(pair, max_size=8), st.integers(1, 4), st.integers(100, 400), st.randoms())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_rows_in_any_order_give_the_same_bytes(  # noqa: PLR0917
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, Any]],
    pairs: list[Any],
    max_records: int,
    max_bytes: int,
    chance: random.Random,
) -> None:
    path = tmp_path_factory.mktemp("runs")
    tables = {"groups": groups(*rows), "associations": associations(*pairs)}
    runs = []
    for number in range(2):
        total = sum(table.num_rows for table in tables.values()) + 3
        run = planned(
            path / str(number),
            hosts(3),
            counts={"rows_read": total},
            max_records=max_records,
            max_bytes=max_bytes,
            **tables,
        )
        runs.append([(chunk.kind, run.content(chunk.chunk)) for chunk in run.chunks])
        set_aside = sum(run.plan.rejected.values()) + run.plan.duplicates
        assert total == set_aside + sum(chunk.records for chunk in run.chunks)
        assert pq.read_metadata(run.planned_rejects_path).num_rows == set_aside
        for chunk in run.chunks:
            assert chunk.records <= max_records
            assert chunk.bytes == len(run.content(chunk.chunk)) <= max_bytes
            assert pq.read_metadata(run.path / "chunks" / f"{chunk.chunk:05}.origins.parquet").num_rows == chunk.records
        known = {record["xid"] for record in records(run, "group")}
        assert len(known) == len(records(run, "group"))
        tables = {
            kind: table.take(pa.array(chance.sample(range(table.num_rows), table.num_rows), pa.int64()))
            for kind, table in tables.items()
        }
    assert runs[0] == runs[1]


def test_schemas_have_no_rows_of_their_own(tmp_path: Path) -> None:
    assert not planned(tmp_path / "run", groups=GROUPS.empty_table()).chunks
