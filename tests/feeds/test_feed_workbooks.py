"""Workbooks: every sheet's values row by row; no formula, link or bomb does anything."""

import io
import warnings
import zipfile
from datetime import datetime

import pytest
from openpyxl import Workbook

from tcetl.errors import FeedError
from tcetl.feeds import open_feed
from tcetl.transform import normalise


def save(path, sheets):
    book = Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def read(path, **options):
    feed = open_feed(path, **options)
    rows, rejects = [], []
    for batch in feed.batches():
        rows += batch.frame.to_dicts()
        rejects += batch.rejects.to_pylist()
    return rows, rejects, feed


INDICATORS = [
    [None, None],
    ["ioc", "seen", "n", "note"],
    ["a.example", datetime(2025, 1, 2, 3, 4, 5), 7.0, None],  # noqa: DTZ001 - Excel knows no zones
    [],
    ["b.example", "#N/A", True, " x "],
    ["c.example", None, 1.5, None, "beyond"],
]


def test_values_and_places(tmp_path):
    rows, rejects, feed = read(save(tmp_path / "feed.bin", {"Sheet 1": INDICATORS}))
    assert (feed.format, list(feed.columns)) == ("xlsx", ["ioc", "seen", "n", "note", "column_5"])
    assert rows == [
        {"ioc": "a.example", "seen": "2025-01-02T03:04:05", "n": "7", "note": "", "column_5": "", "_row": 3,
         "_pointer": "'Sheet 1'!A3"},
        {"ioc": "b.example", "seen": "", "n": "true", "note": " x ", "column_5": "", "_row": 5,
         "_pointer": "'Sheet 1'!A5"},
        {"ioc": "c.example", "seen": "", "n": "1.5", "note": "", "column_5": "beyond", "_row": 6,
         "_pointer": "'Sheet 1'!A6"},
    ]  # fmt: skip
    assert rejects == []


def test_rows_wider_than_the_sheet_seemed_are_refused(tmp_path):
    rows = [["ioc", "x"], *([f"a{n}.example", "1"] for n in range(80)), ["b.example", "1", "2"]]
    taken, rejects, _ = read(save(tmp_path / "f.xlsx", {"S": rows}))
    assert len(taken) == 80
    assert [(one["row"], one["code"], one["pointer"]) for one in rejects] == [(82, "ragged-row", "'S'!A82")]


def test_sheets_are_read_one_after_the_other_or_one_by_name(tmp_path):
    second = [["ip", "ioc"], ["192.0.2.1", "b.example"]]
    path = save(tmp_path / "f.xlsx", {"A": [["ioc"], ["a.example"]], "empty": [], "B": second})
    rows, _, feed = read(path)
    assert list(feed.columns) == ["ioc", "ip"]
    assert [(row["ioc"], row["ip"], row["_pointer"]) for row in rows] == [
        ("a.example", "", "'A'!A2"), ("b.example", "192.0.2.1", "'B'!A2"),
    ]  # fmt: skip
    assert [row["_pointer"] for row in read(path, sheet="B")[0]] == ["'B'!A2"]
    with pytest.raises(FeedError, match="has no sheet 'C'") as caught:
        open_feed(path, sheet="C")
    assert "A, empty, B" in caught.value.hint
    assert normalise(open_feed(path), owner="O").counts.indicators == {"Host": 2}


def test_a_sheet_without_a_header(tmp_path):
    rows, _, feed = read(save(tmp_path / "f.xlsx", {"S": [["192.0.2.1", "x"], ["192.0.2.2", "y"]]}))
    assert list(feed.columns) == ["column_1", "column_2"]
    assert [row["_row"] for row in rows] == [1, 2]


def test_formulas_give_no_more_than_their_stored_values(tmp_path):
    rows, _, _ = read(
        save(tmp_path / "f.xlsx", {"S": [["ioc", "x"], ["a.example", '=WEBSERVICE("http://b.example/")']]})
    )
    assert rows[0]["x"] == ""


def rewritten(path, part, change):
    """The workbook with one of its parts changed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            content = old.read(info)
            new.writestr(info.filename, change(content) if info.filename == part else content)
    path.write_bytes(packed.getvalue())
    return path


SHEET = "xl/worksheets/sheet1.xml"
ENTITY = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "change",
    [
        lambda content: ENTITY + content,
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: content.replace(b'r="A2"', b'r="\xff"'),
        lambda content: content + b" " * (80 << 20),
    ],
)
def test_damaged_and_malicious_workbooks(tmp_path, change):
    path = rewritten(save(tmp_path / "f.xlsx", {"S": INDICATORS}), SHEET, change)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FeedError, match=r"workbook .* is damaged|expands to|holds no records"):
            read(path)


def test_an_empty_workbook_says_so(tmp_path):
    with pytest.raises(FeedError, match="holds no records"):
        read(save(tmp_path / "f.xlsx", {"S": []}))


def test_other_office_documents_say_so(tmp_path):
    path = tmp_path / "f.docx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<x/>")
    with pytest.raises(FeedError, match=r"is a Word document \(\.docx\)"):
        read(path)
