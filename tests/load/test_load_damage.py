"""A run directory's own files, damaged: an error that names the file and the mend, never a guess or a traceback."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_platform import OWNER, FakePlatform, hosts

from tcetl.client.batch import BatchError, BatchSettings
from tcetl.errors import LoadError, RejectedRecordsError
from tcetl.load import Run, finish, plan, retry, steps, submit
from tcetl.load.attribute import Attributor, names_of_indicators
from tcetl.load.chain import chain, read_link
from tcetl.load.mending.mends import read_mends
from tcetl.schema import REJECTS


@pytest.fixture
def retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Run, Run]:
    """A load that ended with a dead letter, and the retry of it."""
    monkeypatch.setattr(steps, "SETTLE", 0.0)
    monkeypatch.setattr(sys.modules["tcetl.load.submit"], "POLL", (0.0, 0.0))
    run = plan(hosts(3, 1), REJECTS.empty_table(), tmp_path / "run", settings=BatchSettings(owner=OWNER), counts={})
    with pytest.raises(RejectedRecordsError):
        submit(FakePlatform(), run)
    return run, retry(run.path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"\xff": 1}', b"[" * 9_999], ids=len)
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("plan.json", lambda run, child: Run.open(run.path)),
        ("receipts/00000.json", lambda run, child: run.receipts()),
        ("receipts/00000.json", lambda run, child: submit(FakePlatform(), run)),
        ("answers/00000.json", lambda run, child: finish(run)),
        ("report.json", lambda run, child: run.report()),
        ("report.json", lambda run, child: chain(run)),
        ("retry.json", lambda run, child: read_link(run)),
        ("retry.json", lambda run, child: retry(run.path)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_damaged_file(retried: tuple[Run, Run], name: str, read: Callable[[Run, Run], Any], content: bytes) -> None:
    run, _ = retried
    (run.path / name).write_bytes(content)
    with pytest.raises(LoadError, match=f"{name} is damaged") as caught:
        read(*retried)
    assert caught.value.hint


def test_damaged_mends(retried: tuple[Run, Run]) -> None:
    _, child = retried
    (child.path / "mends.json").write_bytes(b'["\xff"]')
    with pytest.raises(LoadError, match=r"mends\.json is damaged"):
        read_mends(child)


def test_a_damaged_receipt_of_a_file(retried: tuple[Run, Run]) -> None:
    run, _ = retried
    run.files_path(0).mkdir(parents=True)
    (run.files_path(0) / "00007.json").write_bytes(b'{"phase": "\xff"}')
    with pytest.raises(LoadError, match=r"files/00000/00007\.json is damaged"):
        run.file_receipt(0, 7)


@pytest.mark.parametrize("source", ["{", '{"type": []}', '{"type": {"a": 1}, "summary": 7}', '{"a":' * 9_999])
def test_a_source_that_is_no_record_is_nobodys(source: str) -> None:
    attributor = Attributor(names_of_indicators(["Host"], ["a.example"]))
    error = BatchError(code="0x1005", severity="Error", reason="no", message=None, source=source)
    assert attributor.attribute([error]) == [None]


def test_a_file_is_no_run_directory(tmp_path: Path) -> None:
    (tmp_path / "feed.csv").write_text("url\n")
    with pytest.raises(LoadError, match=r"feed\.csv holds no planned load"):
        Run.open(tmp_path / "feed.csv")
