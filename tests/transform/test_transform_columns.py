"""What a feed's columns say of its indicators, and how it reaches the batch file."""

import json
import random
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcetl.errors import FeedError
from tcetl.feeds import open_feed
from tcetl.pipeline import plan_feed
from tcetl.schema import FILE_OCCURRENCES, INDICATORS
from tcetl.transform import ColumnMap, normalise
from tcetl.transform.cells.moments import begins_with_day, moments

MD5, SHA1 = "d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709"
ROWS = [
    "http://a.example/,C2,Lockbit,2025-01-02,2025-06-01,2025-02-01",
    "hxxp://a[.]example/,dropper,Lockbit,2025-01-01,,2025-03-01",
    "http://a.example/,C2,,,2025-05-01,",
    "http://b.example/,,,,,",
]
COLUMNS = ColumnMap(
    value="url",
    external_date_added="added",
    external_date_expires="until",
    external_last_modified="changed",
    attributes={"role": "Phase of Intrusion", "family": "Malware Family"},
)


def normalised(folder, text, columns):
    path = folder / "feed.csv"
    path.write_text(text)
    result = normalise(open_feed(path), owner="O", columns=columns)
    assert result.indicators.schema.equals(INDICATORS, check_metadata=True)
    assert result.occurrences.schema.equals(FILE_OCCURRENCES, check_metadata=True)
    for table in (result.indicators, result.rejects, result.occurrences):
        table.validate(full=True)
    return result


def records(run):
    return [
        record
        for chunk in sorted((run.path / "chunks").glob("*.json"))
        for record in json.loads(chunk.read_bytes())["indicator"]
    ]


def test_attributes_and_external_dates_merge_and_are_sent(tmp_path):
    path = tmp_path / "feed.csv"
    path.write_text("url,role,family,added,until,changed\n" + "\n".join(ROWS) + "\n")
    one, two = records(plan_feed(path, "O", tmp_path / "run", columns=COLUMNS))
    assert one["attribute"] == [
        {"type": "Malware Family", "value": "Lockbit"},
        {"type": "Phase of Intrusion", "value": "C2"},
        {"type": "Phase of Intrusion", "value": "dropper"},
    ]
    assert (one["externalDateAdded"], one["externalDateExpires"], one["externalLastModified"]) == (
        "2025-01-01T00:00:00Z", "2025-06-01T00:00:00Z", "2025-03-01T00:00:00Z",
    )  # fmt: skip
    assert two == {"type": "URL", "text": "http://b.example/"}


def test_shuffled_rows_give_the_same_bytes(tmp_path):
    found = set()
    rows = ROWS * 3 + [f"http://h{n % 9}.example/,r{n},f{n % 2},2025-01-0{n % 8 + 1},," for n in range(40)]
    for seed in range(4):
        random.Random(seed).shuffle(rows)
        path = tmp_path / f"feed{seed}.csv"
        path.write_text("url,role,family,added,until,changed\n" + "\n".join(rows) + "\n")
        run = plan_feed(path, "O", tmp_path / f"run{seed}", columns=COLUMNS, tags=["x"])
        found.add(b"".join(chunk.read_bytes() for chunk in sorted((run.path / "chunks").glob("*.json"))))
    assert len(found) == 1


def test_two_columns_of_one_attribute_type(tmp_path):
    columns = ColumnMap(value="url", attributes={"a": "Note", "b": "Note"})
    result = normalised(
        tmp_path, "url,a,b\nhttp://a.example/,x,y\nhttp://b.example/,z,z\nhttp://c.example/,,\n", columns
    )
    said = [[(a["type"], a["value"]) for a in row] for row in result.indicators["attributes"].to_pylist()]
    assert said == [[("Note", "x"), ("Note", "y")], [("Note", "z")], []]
    assert result.unused == []


def test_file_occurrences_and_sizes(tmp_path):
    text = (
        "hash,name,folder,when,bytes\n"
        f"{MD5},a.exe,C:\\Temp,2025-01-01,5\n{MD5},a.exe,C:\\Temp,2025-01-01,7\n"
        f"{MD5.upper()},b.exe,,,big\n{SHA1},,,,\nwww.example.com,c.exe,,,\n"
    )
    columns = ColumnMap(value="hash", file_name="name", path="folder", found="when", size="bytes")
    result = normalised(tmp_path, text, columns)
    said = [(o["summary"], o["file_name"], o["path"], o["origin"]["row"]) for o in result.occurrences.to_pylist()]
    assert said == [(MD5.upper(), "a.exe", "C:\\Temp", 2), (MD5.upper(), "b.exe", None, 4)]
    assert result.occurrences["date"][0].as_py() == datetime(2025, 1, 1, tzinfo=UTC)
    assert result.indicators["size"].to_pylist() == [7, None, None]
    assert result.notes == ["1 cells of 'bytes' are no number of bytes and were ignored (row 4)"]
    run = plan_feed(tmp_path / "feed.csv", "O", tmp_path / "run", columns=columns)
    sent = {record.get("md5"): record for record in records(run)}
    assert [one["fileName"] for one in sent[MD5]["fileOccurrence"]] == ["a.exe", "b.exe"]


def test_an_attribute_of_a_column_that_is_not_there(tmp_path):
    with pytest.raises(FeedError, match="has no column role"):
        normalised(tmp_path, "url\nhttp://a.example/\n", ColumnMap(value="url", attributes={"role": "Note"}))


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2025-01-02T03:04:05.678+02:00", "2025-01-02 01:04:05"),
        ("2025-01-02 03:04:05 -0530", "2025-01-02 08:34:05"),
        ("2025-01-02T03:04", "2025-01-02 03:04:00"),
        ("1735787045", "2025-01-02 03:04:05"),
        ("1735787045123", "2025-01-02 03:04:05"),
        ("12/22/2023 5:06", "2023-12-22 05:06:00"),
        ("2/1/23", "2023-02-01 00:00:00"),
        ("2025-13-01", None),
        ("soon", None),
        ("20250102", None),
    ],
)
def test_moments(cell, expected):
    found = moments(pl.Series([cell]), day_first=False)[0]
    assert (found and f"{found:%Y-%m-%d %H:%M:%S}") == expected


def test_a_date_with_slashes_means_what_its_column_shows(tmp_path):
    assert [begins_with_day(pl.Series(cells)) for cells in (["22/1/2023"], ["1/22/2023"], ["1/2/2023"])] == [
        True, False, None,
    ]  # fmt: skip
    assert begins_with_day(pl.Series(["22/1/2023", "1/22/2023"])) is None
    shown = normalised(tmp_path, "url,first_seen\nhttp://a.example/,1/2/2023\nhttp://b.example/,13/2/2023\n", None)
    assert [str(one.date()) for one in shown.indicators["first_seen"].to_pylist()] == ["2023-02-01", "2023-02-13"]
    unclear = normalised(tmp_path, "url,first_seen\nhttp://a.example/,1/2/2023\n", None)
    assert unclear.indicators["first_seen"].to_pylist() == [None]
    assert "which is the day" in unclear.notes[0]


FILE, PAYLOAD = f"{1:064x}", f"{2:064x}"
FURTHER = [
    f'{FILE},{MD5},doc.exe,"evil[.]example, 192.0.2.7",{PAYLOAD}',
    f"{3:064x},,b.exe,gate.example (compromised site),",
    f"{4:064x},,c.exe,[CORRUPT],n/a",
    f'{5:064x},,d.exe,"hxxp://evil[.]example/a,b;c,http://evil.example/d",',
    f"{6:064x},,e.exe,Unknown,{PAYLOAD}",
]


def test_servers_and_payloads_of_a_file_are_indicators_of_their_own(tmp_path):
    result = normalised(tmp_path, "SHA256,MD5,File Name,C2 Server,Payload Hash\n" + "\n".join(FURTHER) + "\n", None)
    assert list(result.columns.also) == ["C2 Server", "Payload Hash"]
    rows = {row["summary"]: row for row in result.indicators.to_pylist()}
    assert {summary: row["type"] for summary, row in rows.items() if row["type"] != "File"} == {
        "evil.example": "Host",
        "192.0.2.7": "Address",
        "gate.example": "Host",
        "http://evil.example/a,b;c": "URL",
        "http://evil.example/d": "URL",
    }
    assert rows[PAYLOAD.upper()]["md5"] is None  # the hashes of the row are those of its own file
    assert rows["evil.example"]["origin"]["row"] == 2
    assert (result.counts.rows_read, result.further) == (13, 8)
    rejects = [(row["row"], row["field"], row["code"], row["raw"]) for row in result.rejects.to_pylist()]
    assert rejects == [
        (4, "C2 Server", "not-an-indicator", "[CORRUPT]"),
        (6, "Payload Hash", "duplicate", PAYLOAD),
    ]
    assert "C2 Server" not in result.unused
    assert any("remark in brackets" in note for note in result.notes)


def test_a_duplicate_within_a_row_names_its_column(tmp_path):
    text = "ioc,type,C2Domain\nevil.example,domain,evil.example\n"
    (duplicate,) = normalised(tmp_path, text, None).rejects.to_pylist()
    assert (duplicate["code"], duplicate["field"], duplicate["row"]) == ("duplicate", "ioc", 2)


def test_further_indicators_go_by_their_shape_beside_a_declared_type(tmp_path):
    columns = ColumnMap(value="link", value_type="URL", also=["on"], file_name="name")
    result = normalised(tmp_path, "link,on,name\nhttp://a.example/x,192.0.2.1 b.example,x.exe\n", columns)
    assert result.indicators["type"].to_pylist() == ["Address", "Host", "URL"]


def test_an_unusable_cell_is_noted_once_for_a_row_of_several_indicators(tmp_path):
    text = f'sha256,first_seen,c2\n{FILE},soon,"a.example, b.example"\n'
    (note,) = normalised(tmp_path, text, None).notes
    assert note.startswith("1 cells of 'first_seen' are no date")


def test_columns_of_indicators_that_none_was_taken_from_are_noted(tmp_path):
    rows = "".join(f"192.0.2.{n},win.sample{n},198.51.100.{n},07:13:{n + 10},0.{n}\n" for n in range(1, 9))
    result = normalised(tmp_path, "ip,family,resolver,at,score\n" + rows, None)
    (note,) = result.notes
    assert "'resolver' holds indicators too" in note
    network = "start,end,email\n192.0.2.0,192.0.2.255,abuse@isp.example\n"
    assert normalised(tmp_path, network, None).notes == []  # the end of a range, and whom to complain to
    assert normalised(tmp_path, "ip,resolver\n192.0.2.1,198.51.100.1\n", ColumnMap(value="ip")).notes == []


HASH = f"{7:064x}"
INSTEAD = [
    "2026-01-01,192.0.2.1,,,,", "2026-01-02,,evil[.]example,,,",
    f"2026-01-03,,,{HASH},{MD5},", f"2026-01-04,,,,{SHA1},",
    "2026-01-05,,,,,", "2026-01-06,n/a,,,,Global\\Some mutex",
]  # fmt: skip


def test_where_rows_fill_one_of_several_columns_that_is_their_indicator(tmp_path):
    text = "first_seen,ip,domain,sha256,md5,mutex\n" + "\n".join(INSTEAD).replace(SHA1, "e" * 32) + "\n"
    result = normalised(tmp_path, text, None)
    rows = {row["summary"]: (row["type"], row["origin"]["row"], row["origin"]["raw"]) for row in found(result)}
    assert rows == {
        "192.0.2.1": ("Address", 2, "192.0.2.1"),
        "evil.example": ("Host", 3, "evil[.]example"),
        f"{MD5.upper()} : {HASH}": ("File", 4, HASH),
        "E" * 32: ("File", 5, "e" * 32),
        "Global\\Some mutex": ("Mutex", 7, "Global\\Some mutex"),
    }
    assert all(row["first_seen"] for row in found(result))
    assert (result.counts.rows_read, result.further, result.counts.rejected) == (6, 0, {"empty-value": 1})
    assert result.notes == []


def found(result):
    return result.indicators.to_pylist()


@pytest.mark.parametrize(
    "text",
    [
        "ip,domain\n192.0.2.1,\n,a.example.com\n192.0.2.2,b.example.com\n",  # may be where the host merely stood
        "domain,ip\na.example.com,\n,not one\n,nor this\n",
        "url,email\nhttp://a.example/,abuse@isp.example\n,\n",
    ],
)
def test_what_may_be_no_more_than_said_of_an_indicator_is_none(tmp_path, text):
    result = normalised(tmp_path, text, None)
    assert not result.columns.also
    assert set(result.indicators["type"].to_pylist()) <= {"Address", "URL", "Host"}
    assert result.indicators.num_rows + sum(result.counts.rejected.values()) == result.counts.rows_read


def test_the_file_that_a_row_names_beside_its_address_is_one_file(tmp_path):
    text = f"url,sha256,md5,size\nhttp://a.example/,{HASH},{MD5},9\nhttp://b.example/,,,\n,{PAYLOAD},,\n"
    result = normalised(tmp_path, text, None)
    files = {row["summary"]: row["origin"]["row"] for row in found(result) if row["type"] == "File"}
    assert files == {f"{MD5.upper()} : {HASH}": 2, PAYLOAD: 4}
    assert (result.counts.rows_read, result.further, result.counts.indicators) == (4, 1, {"File": 2, "URL": 2})


@pytest.mark.parametrize("said", ["issuer", "not_after", "ja3", "cert_subject"])
def test_a_hash_beside_a_server_may_be_of_its_certificate(tmp_path, said):
    result = normalised(tmp_path, f"ip,sha1,{said}\n192.0.2.1,{SHA1},x\n", None)
    assert result.counts.indicators == {"Address": 1}
    assert result.unused[0] == "sha1"
    assert "'sha1' holds indicators too" in result.notes[0]


def test_columns_by_role_leave_the_others_to_be_found(tmp_path):
    text = "when,bad,ip,labels,Names,first_seen\nx,http://a.example/,192.0.2.1,c2,one mutex,2026-01-01\n"
    given = {"value": "bad", "also": {"ip": "Address", "Names": "Mutex"}, "tags": "labels"}
    result = normalised(tmp_path, text, given)
    assert {row["summary"]: row["type"] for row in found(result)} == {
        "http://a.example/": "URL", "192.0.2.1": "Address", "one mutex": "Mutex",
    }  # fmt: skip
    assert all(row["first_seen"] and row["tags"][0]["name"] == "c2" for row in found(result))
    assert result.unused == ["when"]
    contradicted = normalised(tmp_path, text.replace("192.0.2.1", "a.example"), given)
    assert contradicted.counts.rejected == {"type-mismatch": 1}
    with pytest.raises(FeedError, match="no role 'valeu'"):
        normalised(tmp_path, text, {"valeu": "bad"})
    with pytest.raises(FeedError, match="has no column nope"):
        normalised(tmp_path, text, {"value": "nope"})


SAID = (
    "ioc,type,rating,confidence,tlp,first_seen,last_seen,tags,description,source\n"
    'evil.example,domain,2,,AMBER,2025-01-02,2025-01-03,"b,A",zebra,https://b.example/\n'
    'EVIL[.]example,domain,,70,GREEN,2025-01-01,,"a,b",,https://a.example/\n'
    "evil.example:443,domain,5,10,,,2025-01-09,,apple,\n"
)


def test_duplicates_merge_by_the_rules_that_the_docs_state(tmp_path):
    header, *rows = SAID.splitlines(keepends=True)
    for n in range(len(rows)):
        turned = rows[n:] + rows[:n]
        (one,) = found(normalised(tmp_path, header + "".join(turned), None))
        assert (one["rating"], one["confidence"], one["security_labels"]) == (5, 70, ["TLP:AMBER"])
        assert (str(one["first_seen"].date()), str(one["last_seen"].date())) == ("2025-01-01", "2025-01-09")
        assert [tag["name"] for tag in one["tags"]] == ["A", "a", "b"]
        assert (one["description"], one["source"]) == ("apple", "https://a.example/")
        assert (one["origin"]["row"], one["origin"]["raw"]) == (2, turned[0].split(",")[0])


CELLS = [
    "",
    "n/a",
    "192.0.2.7",
    "evil.example",
    "hxxp://evil[.]example/a",
    MD5,
    HASH,
    "a mutex",
    "x (y z)",
    " (nothing)",
    ";",
]
NAMED = ["ip", "domain", "url", "sha256", "md5", "mutex", "note"]


@settings(max_examples=30)
@given(
    rows=st.lists(st.tuples(*(st.sampled_from(CELLS) for _ in NAMED)), min_size=1, max_size=12),
    also=st.dictionaries(st.sampled_from(NAMED), st.sampled_from(["", "Address", "Mutex"]), max_size=3),
)
def test_every_row_ends_somewhere_whatever_columns_it_fills(tmp_path_factory, rows, also):
    folder = tmp_path_factory.mktemp("feed")
    text = ",".join(NAMED) + ",n\n" + "".join(f"{','.join(row)},{n}\n" for n, row in enumerate(rows))
    for columns in (None, {"also": also}):
        result = normalised(folder, text, columns)
        ended = {row["origin"]["row"] for row in found(result)} | set(result.rejects["row"].to_pylist())
        assert ended == set(range(2, 2 + len(rows)))
        counts = result.counts
        assert counts.rows_read == len(rows) + result.further
        assert result.rejects.num_rows == counts.duplicates + sum(counts.rejected.values())
