"""The dead letters in spreadsheets: what goes in comes out, whatever they do to the file; nothing is lost."""

import csv
import io
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from fake_platform import OWNER, FakePlatform, hosts, indicators, name_of
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tcetl.client.batch import BatchSettings
from tcetl.errors import LoadError, RejectedRecordsError
from tcetl.load import Run, plan, retry, steps, submit
from tcetl.load.spreadsheet import SheetWriter, read_sheet, spoilt, untouched
from tcetl.schema import REJECTS

submitting = sys.modules["tcetl.load.submit"]
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
EVIL = st.sampled_from(
    ["=1+1", "'=x", "''-5", "+5", "-1", "@a", "\t=", "'", "00123", "1e5", "a;b", 'say "so"', "a\r\nb"]
)


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SETTLE", 0.0)
    monkeypatch.setattr(submitting, "POLL", (0.0, 0.0))


def letters(summaries: list[str], reasons: list[str]) -> pa.Table:
    rows = [
        dict.fromkeys(REJECTS.names)
        | {"stage": "load", "code": "0x1005", "severity": "error", "reason": reason, "summary": summary, "row": row}
        for row, (summary, reason) in enumerate(zip(summaries, reasons, strict=True))
    ]
    return pa.Table.from_pylist(rows, schema=REJECTS)


def cells(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def saved(
    rows: list[list[str]], *, separator: str = ",", end: str = "\r\n", encoding: str = "utf-8", quoting: int = 0
) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator=end, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    return text.getvalue().encode(encoding)


SAVED: dict[str, Callable[[list[list[str]]], bytes]] = {
    "Excel, CSV UTF-8": lambda rows: saved(rows, encoding="utf-8-sig"),
    "Excel in Europe": lambda rows: saved(rows, encoding="utf-8-sig", separator=";"),
    "Excel, Unicode text": lambda rows: saved(rows, encoding="utf-16", separator="\t"),
    # Python before 3.13 leaves a line feed unquoted where lines end otherwise; no spreadsheet does.
    "Excel for Mac": lambda rows: saved(rows, end="\r", quoting=csv.QUOTE_ALL),
    "LibreOffice, all quoted": lambda rows: saved(rows, end="\n", quoting=csv.QUOTE_ALL),
    "UTF-16 without a mark": lambda rows: saved(rows, encoding="utf-16-le"),
    "columns in another order": lambda rows: saved([row[::-1] for row in rows]),
    "a column of notes and empty rows": lambda rows: saved([[*row, "note"] for row in rows] + [[], [""] * 9]),
}


@given(st.lists(st.tuples(EVIL | TEXTS, EVIL | TEXTS), min_size=1, max_size=8), st.sampled_from(sorted(SAVED)))
def test_every_cell_comes_back(values: list[tuple[str, str]], program: str) -> None:
    summaries, reasons = map(list, zip(*values, strict=True))
    file = io.BytesIO()
    writer = SheetWriter(file)
    for part in (letters(summaries[:3], reasons[:3]), letters(summaries[3:], reasons[3:])):
        writer.write(part)
    content = SAVED[program](cells(file.getvalue()))
    rows = list(read_sheet(io.BytesIO(content), ["letter", "summary", "reason"]))
    assert rows == [
        (number + 1, {"letter": str(number), "summary": summary, "reason": reason})
        for number, (summary, reason) in enumerate(values, start=1)
    ]


@given(TEXTS | EVIL)
def test_no_cell_is_a_formula(value: str) -> None:
    file = io.BytesIO()
    SheetWriter(file).write(letters([value], [value]))
    assert not [cell for row in cells(file.getvalue()) for cell in row if cell[:1] in set("=+-@\t\r\n")]


@pytest.mark.parametrize(
    ("now", "was"),
    [
        ("123", "00123"),
        ("1.23457E+31", "12345678901234567890123456789012"),
        ("1,23457E+31", "12345678901234567890123456789012"),
        ("12345678901234500000", "12345678901234567890"),
        ("100000", "1e5"),
        ("2.0", "2"),
        ("TRUE", "true"),
        ("a\nb", "a\r\nb"),
        ('{"a":"' + "x" * 32_761, '{"a":"' + "x" * 40_000 + '"}'),
    ],
)
def test_what_spreadsheets_do_is_no_edit(now: str, was: str) -> None:
    assert untouched(now, was)


@pytest.mark.parametrize(
    ("now", "was"),
    [("124", "123"), ("ASN123", "123"), ("", "0"), ("1.3E+31", "12345678901234567890123456789012"), ("a", "A")],
)
def test_an_edit_is_an_edit(now: str, was: str) -> None:
    assert not untouched(now, was)
    assert spoilt(now, was) is None


@pytest.mark.parametrize(
    ("now", "was", "said"),
    [
        ("MÃ¼ll", "Müll", "another character set"),
        ("M?ll", "Müll", "were lost"),
        ("??????", "пример", "were lost"),
        ("2-Jan", "1-2", "a date or time"),
        ("01/02/2026", "1-2-2026", "a date or time"),
        ("1-Mar", "MARCH1", "a date or time"),
    ],
)
def test_damage_is_told_apart_from_an_edit(now: str, was: str, said: str) -> None:
    assert not untouched(now, was)
    assert said in (spoilt(now, was) or "")


def failed(table: pa.Table, path: Path) -> Run:
    run = plan(table, REJECTS.empty_table(), path, settings=BatchSettings(owner=OWNER), counts={}, max_records=4)
    with pytest.raises(RejectedRecordsError):
        submit(FakePlatform(lambda index, record: "no"), run)
    return run


def again(run: Run) -> list[dict[str, Any]]:
    child = retry(run.path)
    return [record for chunk in child.chunks for record in json.loads(child.content(chunk.chunk))["indicator"]]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(EVIL | st.text("ab01-.é", min_size=1, max_size=6), min_size=2, max_size=9, unique_by=str.strip),
    program=st.sampled_from(sorted(SAVED)),
    seed=st.integers(0, 2**32),
)
def test_every_letter_ends_in_one_place(
    tmp_path_factory: pytest.TempPathFactory, values: list[str], program: str, seed: int
) -> None:
    values = [value.strip() for value in values if value.strip().isprintable()]
    assume(values)
    run = failed(indicators([("Mutex", value) for value in values]), tmp_path_factory.mktemp("run") / "run")
    chance = random.Random(seed)
    head, *rows = cells(run.rejects_text_path.read_bytes())
    assert len(rows) == len(values)
    summary, number = head.index("summary"), head.index("row")
    fates = {int(row[number]): chance.choice(["keep", "keep", "remove", "mend"]) for row in rows}
    kept = [row for row in rows if fates[int(row[number])] != "remove"]
    for row in kept:
        if fates[int(row[number])] == "mend":
            row[summary] = f"mended {row[number]}"
    chance.shuffle(kept)
    run.rejects_text_path.write_bytes(SAVED[program]([head, *kept]))

    child = retry(run.path)
    records = [r for chunk in child.chunks for r in json.loads(child.content(chunk.chunk))["indicator"]]
    origins = [o["row"] for chunk in child.chunks for o in child.origins(chunk.chunk).to_pylist()]
    wanted = {n: f"mended {n}" if fates[n] == "mend" else values[n - 1] for n in fates if fates[n] != "remove"}
    assert dict(zip(origins, map(name_of, records), strict=True)) == wanted
    report = submit(FakePlatform(lambda index, record: None), child)
    assert report.rows_read == run.report().failed + run.report().unprocessed == len(values)
    assert report.sent == report.succeeded == len(wanted)
    assert report.rejected.get("removed", 0) == sum(fate == "remove" for fate in fates.values())
    assert child.counts["mended"] == sum(fate == "mend" for fate in fates.values())


def test_a_file_that_pandas_saved_is_what_it_was(tmp_path: Path) -> None:
    run = failed(indicators([("Mutex", "00123"), ("Mutex", "1" * 25), ("Mutex", "7")]), tmp_path / "run")
    frame = pd.read_csv(run.rejects_text_path)
    assert frame["summary"].astype(float).tolist() != frame["summary"].astype(str).tolist(), "pandas made numbers of it"
    frame.to_csv(run.rejects_text_path, index=False)
    assert [name_of(record) for record in again(run)] == ["00123", "1" * 25, "7"]


def test_damage_stops_the_retry(tmp_path: Path) -> None:
    run = failed(indicators([("Mutex", "1-2"), ("Mutex", "Müll")]), tmp_path / "run")
    content = run.rejects_text_path.read_bytes()
    run.rejects_text_path.write_bytes(content.replace(b",1-2,", b",2-Jan,"))
    with pytest.raises(LoadError, match="row 2: '1-2' became '2-Jan'"):
        retry(run.path)
    run.rejects_text_path.write_bytes(content.decode("utf-8-sig").encode("cp1252"))
    with pytest.raises(LoadError, match="neither UTF-8 nor UTF-16"):
        retry(run.path)
    run.rejects_text_path.write_bytes(content.decode("cp1252").encode())
    with pytest.raises(LoadError, match=r"rejects\.csv cannot be used"):
        retry(run.path)
    run.rejects_text_path.write_bytes(content)
    assert len(again(run)) == 2


def test_ten_thousand_letters_and_one(tmp_path: Path) -> None:
    run = plan(hosts(10_001), REJECTS.empty_table(), tmp_path / "run", settings=BatchSettings(owner=OWNER), counts={})
    with pytest.raises(RejectedRecordsError):
        submit(FakePlatform(lambda index, record: "no"), run)
    head, *rows = cells(run.rejects_text_path.read_bytes())
    rows.reverse()
    rows[0][head.index("summary")] = "mended.example"
    run.rejects_text_path.write_bytes(saved([head, *rows[:-1]]))
    child = retry(run.path)
    assert child.counts == {"rows_read": 10_001, "rejected": {"removed": 1}, "duplicates": 0, "mended": 1}
    assert sum(chunk.records for chunk in child.chunks) == 10_000
