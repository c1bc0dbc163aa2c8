"""From a feed to indicators: columns, types, merging, and every row in exactly one place."""

import random
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from tcetl.errors import FeedError, ReconciliationError
from tcetl.feeds import open_feed
from tcetl.schema import INDICATORS, REJECTS
from tcetl.transform import ColumnMap, FeedCounts, normalise

MD5, SHA1 = "d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709"
SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
OTHER = "0f" * 31 + "aa"


def run(folder, text, **options):
    path = folder / "feed.csv"
    path.write_text(text)
    result = normalise(open_feed(path), owner="Demo Source", **options)
    assert result.indicators.schema.equals(INDICATORS, check_metadata=True)
    assert result.rejects.schema.equals(REJECTS, check_metadata=True)
    result.indicators.validate(full=True)
    result.rejects.validate(full=True)
    counts = result.counts
    stages = result.rejects["stage"].to_pylist()
    assert counts.rows_read == sum(counts.rejected.values()) + counts.duplicates + sum(counts.indicators.values())
    assert stages.count("duplicate") == counts.duplicates
    assert len(stages) - counts.duplicates == sum(counts.rejected.values())
    assert result.indicators.num_rows == sum(counts.indicators.values())
    keys = list(zip(result.indicators["type"].to_pylist(), result.indicators["summary"].to_pylist(), strict=True))
    assert keys == sorted(set(keys))
    return result


def summaries(result):
    return [(r["type"], r["summary"]) for r in result.indicators.to_pylist()]


def rejected(result):
    return [(r["row"], r["code"]) for r in result.rejects.to_pylist() if r["stage"] != "duplicate"]


def test_urlhaus_columns(tmp_path):
    header = "# id,dateadded,url,url_status,last_online,threat,tags,urlhaus_link,reporter\n"
    row = '"7","2025-04-21 12:35:06","http://192.0.2.7:81/i","online","2025-04-22 01:02:03","malware_download","32-bit,elf,elf","https://urlhaus.example/7/","someone"\n'
    result = run(tmp_path, header + row, tags=("urlhaus",), rating=3.0, confidence=60)
    (one,) = result.indicators.to_pylist()
    assert (one["type"], one["summary"], one["owner_name"]) == ("URL", "http://192.0.2.7:81/i", "Demo Source")
    assert (one["rating"], one["confidence"]) == (3.0, 60)
    assert one["first_seen"] == datetime(2025, 4, 21, 12, 35, 6, tzinfo=UTC)
    assert one["last_seen"] == datetime(2025, 4, 22, 1, 2, 3, tzinfo=UTC)
    assert [tag["name"] for tag in one["tags"]] == ["32-bit", "elf", "urlhaus"]
    assert one["source"] == "https://urlhaus.example/7/"
    assert one["description"] == "Url status: online; Threat: malware_download; Reporter: someone"
    assert one["attributes"] == []
    assert one["security_labels"] == []
    assert one["origin"] == {
        "source": "feed", "file": str(tmp_path / "feed.csv"), "row": 2, "pointer": None, "raw": "http://192.0.2.7:81/i",
    }  # fmt: skip
    assert result.unused == ["id"]
    assert result.notes == []


def test_every_type_in_one_mixed_feed(tmp_path):
    rows = {
        "192[.]0[.]2[.]1": ("Address", "192.0.2.1"),
        "192.0.2.2:8080": ("Address", "192.0.2.2"),
        "[2001:db8::1]:443": ("Address", "2001:db8::1"),
        "2001:db8::/32": ("CIDR", "2001:db8:0:0:0:0:0:0/32"),
        "198.51.100.0/24": ("CIDR", "198.51.100.0/24"),
        "AS64496": ("ASN", "ASN64496"),
        "Bücher.example": ("Host", "xn--bcher-kva.example"),
        "evil.example:8443": ("Host", "evil.example"),
        "WWW.EXAMPLE.COM": ("Host", "www.example.com"),
        "hxxps://Example[.]com/A": ("URL", "https://example.com/A"),
        "Jane <jane@example.com>": ("EmailAddress", "jane@example.com"),
        "mailto:joe@example.com": ("EmailAddress", "joe@example.com"),
        MD5: ("File", MD5.upper()),
        f'"{SHA1},{SHA256}"': ("File", f"{SHA1} : {SHA256}".upper()),
        r"HKLM\Software\Run : x : REG_SZ": ("Registry Key", r"HKEY_LOCAL_MACHINE\Software\Run : x : REG_SZ"),
        "exam\u00adple.org\u00a0": ("Host", "example.org"),
    }
    result = run(tmp_path, "indicator,note\n" + "".join(f"{value},x\n" for value in rows))
    assert rejected(result) == []
    assert sorted(summaries(result)) == sorted(rows.values())


@pytest.mark.parametrize(
    ("word", "value", "kind"),
    [
        ("ip:port", "192.0.2.1:80", "Address"),
        ("IPv4", "192.0.2.1", "Address"),
        ("domain", "a.example", "Host"),
        ("Hostname", "a.example", "Host"),
        ("URL", "http://a.example/", "URL"),
        ("md5_hash", MD5, "File"),
        ("SHA-256", SHA256, "File"),
        ("file", f"{MD5} {SHA1}", "File"),
        ("email-src", "jane@example.com", "EmailAddress"),
        ("AS", "64496", "ASN"),
        ("CIDR", "192.0.2.0/24", "CIDR"),
        ("regkey", r"HKLM\X", "Registry Key"),
        ("mutex", "Global.exe", "Mutex"),
        ("user-agent", "Mozilla/5.0 (x[.]y)", "User Agent"),
        ("Email Subject", "http://not.a.url", "Email Subject"),
        ("hashtag", "#op", "Hashtag"),
        ("", "a.example", "Host"),
    ],
)
def test_declared_types(tmp_path, word, value, kind):
    result = run(tmp_path, f"type,value\ndomain,other.example\n{word},{value}\n")
    assert rejected(result) == []
    assert kind in result.counts.indicators
    assert result.counts.rows_read == 2


@pytest.mark.parametrize(
    ("word", "value", "code"),
    [
        ("ip", "http://192.0.2.1/", "type-mismatch"),
        ("ip", "12:30:45", "bad-address"),
        ("ip", "192.0.2.1:99999", "not-an-indicator"),
        ("domain", "192.0.2.1", "type-mismatch"),
        ("domain", "invoice.doc", "file-name"),
        ("url", "a.example/path", "no-scheme"),
        ("url", "http://exa mple.com/", "bad-url"),
        ("md5", SHA256, "type-mismatch"),
        ("sha256", MD5 * 2, "bad-hash"),
        ("Filename", "a.exe", "unsupported-type"),
        ("domain", "", "empty-value"),
        ("", "two words", "not-an-indicator"),
        ("", "64496", "not-an-indicator"),
    ],
)
def test_rejects_say_why(tmp_path, word, value, code):
    result = run(tmp_path, f"type,value\ndomain,other.example\n{word},{value}\n")
    assert rejected(result) == [(3, code)]
    reject = result.rejects.to_pylist()[0]
    assert (reject["raw"], reject["field"], reject["stage"], reject["severity"]) == (
        value,
        "value",
        "normalise",
        "error",
    )
    assert reject["reason"]
    assert (reject["source"], reject["owner_name"]) == ("feed", "Demo Source")


def test_duplicates_merge_and_name_the_row_they_went_into(tmp_path):
    result = run(
        tmp_path,
        "value,tags,confidence,rating,first_seen,last_seen,description,reference\n"
        "HTTP://a.example/,\"b,c\",10,1,2025-01-02,2025-01-03,zeta,s2\n"
        "http://a.example/,a,90,,2025-01-01,,alpha,\n"
        "hxxp://a[.]example/,,,4.5,,2025-01-09,,s1\n"
        "http://b.example/,b,,,,,,\n",
        tags=("z",), confidence=50,
    )  # fmt: skip
    one, two = result.indicators.to_pylist()
    assert result.counts.duplicates == 2
    assert (one["confidence"], one["rating"], one["description"], one["source"]) == (90, 4.5, "alpha", "s1")
    assert (two["confidence"], two["rating"], two["description"]) == (50, None, None)
    assert [t["name"] for t in one["tags"]] == ["a", "b", "c", "z"]
    assert [t["name"] for t in two["tags"]] == ["b", "z"]
    assert (one["first_seen"].day, one["last_seen"].day) == (1, 9)
    assert (one["origin"]["row"], one["origin"]["raw"]) == (2, "HTTP://a.example/")
    rows = [
        (r["row"], r["stage"], r["severity"], r["code"], r["type"], r["summary"]) for r in result.rejects.to_pylist()
    ]
    assert rows == [
        (row, "duplicate", "info", "duplicate", "URL", "http://a.example/") for row in (3, 4)
    ]  # fmt: skip
    assert "row 2" in result.rejects["reason"][0].as_py()


def test_hashes_in_several_columns_are_one_file(tmp_path):
    result = run(tmp_path, f"SHA256,SHA1,MD5\n{SHA256},{SHA1},{MD5}\n{OTHER},n/a,\n")
    assert sorted(summaries(result)) == sorted(
        [("File", f"{MD5} : {SHA1} : {SHA256}".upper()), ("File", OTHER.upper())]
    )
    whole = next(r for r in result.indicators.to_pylist() if r["md5"])
    assert (whole["md5"], whole["sha1"], whole["sha256"]) == (MD5, SHA1, SHA256)
    assert whole["origin"]["raw"] == SHA256
    alone = next(r for r in result.indicators.to_pylist() if not r["md5"])
    assert (alone["md5"], alone["sha1"], alone["sha256"]) == (None, None, OTHER)


def test_files_are_joined_over_any_shared_hash(tmp_path):
    rows = [f'"{MD5},{SHA1}"', SHA256, f'"{SHA1},{SHA256}"', MD5]
    for seed in range(4):
        random.Random(seed).shuffle(rows)
        result = run(tmp_path, "hash,x\n" + "".join(f"{row},1\n" for row in rows))
        assert summaries(result) == [("File", f"{MD5} : {SHA1} : {SHA256}".upper())]
        assert result.counts.duplicates == 3


def test_contradicting_hashes_are_refused_not_guessed(tmp_path):
    result = run(tmp_path, f'hash,x\n"{MD5},{SHA256}",1\n"{MD5},{OTHER}",1\n{SHA256},1\n{MD5},1\n{SHA1},1\n')
    assert sorted(rejected(result)) == [(2, "conflicting-hashes"), (3, "conflicting-hashes")]
    assert sorted(s for _, s in summaries(result)) == sorted(h.upper() for h in (MD5, SHA1, SHA256))
    assert f"sha256 {OTHER} and {SHA256}" in result.rejects["reason"][0].as_py()


def test_the_same_value_under_two_types_is_two_indicators(tmp_path):
    result = run(tmp_path, "type,value\nmutex,a.example\ndomain,a.example\n")
    assert summaries(result) == [("Host", "a.example"), ("Mutex", "a.example")]


def test_shuffled_input_gives_identical_indicators(tmp_path):
    values = [f"h{n % 40}.example" for n in range(80)] + ["hxxp://a[.]example/", "http://A.example/", "bad value"] * 3
    rows = [
        f'{value},"t{n % 7},t{n % 3}",{n % 100},2025-01-{n % 28 + 1:02},note {n % 5}\n'
        for n, value in enumerate(values)
    ]
    expected = None
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        result = run(tmp_path, "indicator,tags,confidence,first_seen,comment\n" + "".join(rows))
        table = result.indicators.drop_columns("origin")
        expected = expected or table
        assert table.equals(expected)
        assert result.counts.rejected == {"not-an-indicator": 3}


def test_value_and_type_columns_found_by_their_values(tmp_path):
    rows = "".join(
        f"2025-01-01,someone,{kind},{value},#tag,https://reports.example/{n}\n"
        for n, (kind, value) in enumerate(
            [("ip", "192.0.2.1"), ("domain", "a.example"), ("url", "http://b.example/")] * 9
        )
    )
    result = run(tmp_path, rows)
    assert (result.columns.value, result.columns.type) == ("column_4", "column_3")
    assert result.counts.indicators == {"Address": 1, "Host": 1, "URL": 1}
    links = run(tmp_path, "".join(f"https://reports.example/{n},h{n}.example\n" for n in range(30)))
    assert links.columns.value == "column_2"


def test_columns_can_be_told(tmp_path):
    text = "Name,Kind of thing\nGlobal\\One,x\nGlobal\\Two,y\n"
    result = run(tmp_path, text, columns=ColumnMap(value="Name", value_type="Mutex", tags="Kind of thing"))
    assert summaries(result) == [("Mutex", "Global\\One"), ("Mutex", "Global\\Two")]
    assert [t["name"] for t in result.indicators["tags"][1].as_py()] == ["y"]


def test_columns_that_are_not_there(tmp_path):
    with pytest.raises(FeedError, match=r"has no column ioc.*it has: Name, x"):
        run(tmp_path, "Name,x\na,b\n", columns=ColumnMap(value="ioc"))


def test_cells_that_are_no_date_or_number_are_noted_not_fatal(tmp_path):
    result = run(
        tmp_path, "url,first_seen,confidence,rating\nhttp://a.example/,5/8/2021,150,high\nhttp://b.example/,,,\n"
    )
    assert [(r["first_seen"], r["confidence"], r["rating"]) for r in result.indicators.to_pylist()] == [(None,) * 3] * 2
    assert [note.split(" are no ")[0] for note in result.notes] == [
        "1 cells of 'confidence'", "1 cells of 'first_seen'", "1 cells of 'rating'",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "stamp", ["2025-01-02 03:04:05", "2025-01-02T03:04:05Z", "2025-01-02T03:04:05.678+00:00", "2025-01-02 03:04:05 UTC"]
)
def test_dates(tmp_path, stamp):
    result = run(tmp_path, f"url,first_seen\nhttp://a.example/,{stamp}\n")
    assert result.indicators["first_seen"][0].as_py() == datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_read_rejects_and_progress(tmp_path):
    good = "".join(f"http://h{n}.example/,x\n" for n in range(9))
    seen = []
    result = run(tmp_path, "url,x\n" + good + "http://ragged.example/\n", on_progress=lambda *at: seen.append(at))
    assert rejected(result) == [(11, "ragged-row")]
    assert seen[-1] == (10, None)


@pytest.mark.parametrize("text", ["colour,size\nred,1\nblue,2\n", "value,size\nred,1\nblue,2\n", "just\nsome\nwords\n"])
def test_no_usable_column(tmp_path, text):
    with pytest.raises(FeedError, match=r"holds indicators; it has: |no line of .* holds an indicator") as caught:
        run(tmp_path, text)
    assert str(tmp_path) in caught.value.message
    assert caught.value.hint


def test_a_header_without_rows(tmp_path):
    with pytest.raises(FeedError, match="a header but no rows"):
        run(tmp_path, "url,x\n")


def test_out_of_range_settings(tmp_path):
    with pytest.raises(ValueError, match="rating is 0 to 5"):
        run(tmp_path, "url\nhttp://a.example/\n", rating=6)
    with pytest.raises(ValueError, match="confidence is 0 to 100"):
        run(tmp_path, "url\nhttp://a.example/\n", confidence=101)


@pytest.mark.parametrize(
    "value", ["_" * 8000 + "!", "[" * 4000 + "." + "]" * 4000, "a" + " " * 8000 + "[", "a." * 4000 + "!", "x" * 100_000]
)
def test_values_made_to_waste_time_do_not(tmp_path, value):
    result = run(tmp_path, f"value\n{value}\nhttp://a.example/\n")
    assert [row for row, _ in rejected(result)] == [2]


def test_long_tags_are_left_out(tmp_path):
    result = run(tmp_path, f'url,tags\nhttp://a.example/,"{"x" * 129},#ok; None"\n')
    assert [t["name"] for t in result.indicators["tags"][0].as_py()] == ["ok"]


def test_counts_that_do_not_add_up_are_refused():
    with pytest.raises(ReconciliationError, match="3 rows were read, but 2"):
        FeedCounts(rows_read=3, rejected={"bad-url": 1}, duplicates=0, indicators={"URL": 1})


def test_many_slices_and_no_indicator_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr("tcetl.transform.tables._ROWS", 7)
    text = "host,tags\n" + "".join(f"h{n % 50}.example,t{n}\n" for n in range(100))
    result = run(tmp_path, text)
    assert [len(tags) for tags in result.indicators["tags"].to_pylist()] == [2] * 50
    nothing = run(tmp_path, "host,x\nnot a host,1\nnor this,2\n")
    assert isinstance(nothing.indicators, pa.Table)
    assert nothing.counts.indicators == {}
