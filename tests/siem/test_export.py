"""Every format alike: golden files, counts, options, and files that appear whole or not at all."""

import errno
import hashlib
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pyarrow as pa
import pytest

from tcetl.errors import BulkReportError, ConfigError, PublishError
from tcetl.schema import INDICATORS
from tcetl.siem import FORMATS, export

from .conftest import GOLDEN, batch_of, record

EVERY_FORMAT = pytest.mark.parametrize("name", FORMATS)


@EVERY_FORMAT
def test_golden(golden, tmp_path, name):
    expected = (GOLDEN / f"indicators.{name}").read_bytes()

    report = export([golden], tmp_path / "out", name)

    assert (tmp_path / "out").read_bytes() == expected
    assert report.written == 13
    assert report.skipped == {}
    assert report.truncated == {}
    assert report.bytes == len(expected)
    assert report.sha256 == hashlib.sha256(expected).hexdigest()
    assert json.loads(json.dumps(report.to_json()))["path"] == str(tmp_path / "out")


@EVERY_FORMAT
def test_batches_do_not_show_in_the_file(golden, tmp_path, name):
    slices = [golden.slice(start, 2) for start in range(0, 13, 2)]
    seen = []

    export(slices, tmp_path / "out", name, on_progress=seen.append)

    assert (tmp_path / "out").read_bytes() == (GOLDEN / f"indicators.{name}").read_bytes()
    assert seen == [2, 4, 6, 8, 10, 12, 13]


@EVERY_FORMAT
def test_only_the_columns_that_a_format_names_are_needed(golden, tmp_path, name):
    export([golden.select(FORMATS[name].columns)], tmp_path / "out", name)

    assert (tmp_path / "out").read_bytes() == (GOLDEN / f"indicators.{name}").read_bytes()


@EVERY_FORMAT
def test_a_record_with_nothing_but_its_identity(exported, name):
    text, report = exported(name, record(summary="bare.example"))

    assert report.written == 1
    assert b"bare.example" in text
    assert b"None" not in text
    assert b"null" not in text


@EVERY_FORMAT
def test_numbers_that_are_none(exported, name):
    text, _ = exported(
        name,
        record(rating=float("nan"), threat_assess_rating=float("inf"), threat_assess_confidence=float("-inf")),
    )

    assert b"nan" not in text.lower()
    assert b"inf" not in text.lower()


@EVERY_FORMAT
@pytest.mark.parametrize("batches", [[], [pa.RecordBatch.from_pylist([], schema=INDICATORS)]], ids=len)
def test_nothing_to_write_is_an_error_unless_allowed(tmp_path, name, batches):
    with pytest.raises(PublishError, match=r"nothing to write to .*out") as caught:
        export(batches, tmp_path / "out", name)
    assert "allow_empty" in caught.value.hint
    assert list(tmp_path.iterdir()) == []

    report = export(batches, tmp_path / "out", name, allow_empty=True)

    assert report.written == 0
    assert (tmp_path / "out").read_bytes() == FORMATS[name]().header()


def test_unknown_format(tmp_path):
    with pytest.raises(ConfigError, match="no export format 'xml'") as caught:
        export([], tmp_path / "out", "xml")
    assert caught.value.hint == "known are cef, csv, ndjson"


def test_unknown_option(tmp_path):
    with pytest.raises(ConfigError, match="format csv has no option colour") as caught:
        export([], tmp_path / "out", "csv", colour="red")
    assert caught.value.hint == "its options are guard, bom"


def test_unknown_value_of_an_option(tmp_path):
    with pytest.raises(ConfigError, match=r"'maybe'.*guard") as caught:
        export([], tmp_path / "out", "csv", guard="maybe")
    assert "'text', 'all', 'none'" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_options_may_be_text(golden, tmp_path):
    """A command line and a template know only text: "false" must not be true."""
    report = export([golden], tmp_path / "out", "cef", typed_keys="false", cef_version="1")

    text = report.path.read_text()
    assert text.startswith("CEF:1|")
    assert " dhost=" not in text


class TestFailures:
    @pytest.fixture
    def target(self, tmp_path) -> Path:
        path = tmp_path / "out" / "indicators.cef"
        path.parent.mkdir()
        path.write_bytes(b"yesterday\n")
        return path

    def unharmed(self, target: Path) -> bool:
        return target.read_bytes() == b"yesterday\n" and list(target.parent.iterdir()) == [target]

    @pytest.mark.parametrize("broken", [(os, "fsync"), (Path, "replace")], ids=lambda broken: broken[1])
    def test_a_full_disk(self, golden, target, monkeypatch, broken):
        def full(*_args, **_kwargs):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(*broken, full)
            with pytest.raises(PublishError, match=r"indicators\.cef: No space left on device") as caught:
                export([golden], target, "cef")

        assert "free space" in caught.value.hint
        assert self.unharmed(target)

    @pytest.mark.parametrize("error", [BulkReportError("changed"), ConnectionResetError("gone"), KeyboardInterrupt()])
    def test_a_source_that_fails_midway(self, golden, target, error):
        def failing():
            for _ in range(10):
                yield golden
            raise error

        with pytest.raises(type(error)) as caught:
            export(failing(), target, "cef")

        assert caught.value is error
        assert self.unharmed(target)

    def test_a_directory_in_the_way(self, golden, tmp_path):
        with pytest.raises(PublishError, match="Is a directory"):
            export([golden], tmp_path, "cef")

    def test_a_file_size_limit_of_the_system(self, target):
        """The real thing: the kernel refuses the write in the middle of the file."""
        script = textwrap.dedent(
            """
            import resource, signal, sys
            import pyarrow as pa
            from tcetl.errors import PublishError
            from tcetl.schema import INDICATORS
            from tcetl.siem import export

            row = {"owner_name": "o", "type": "Host", "summary": "a.example", "tags": [], "attributes": [],
                   "security_labels": []}
            batch = pa.RecordBatch.from_pylist([row] * 1000, schema=INDICATORS)
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
            try:
                export([batch] * 100, sys.argv[1], "cef")
            except PublishError as error:
                print(error)
                sys.exit(7)
            """
        )
        run = subprocess.run([sys.executable, "-c", script, str(target)], capture_output=True, text=True, check=False)

        assert run.returncode == 7, run.stderr
        assert "indicators.cef: File too large" in run.stdout
        assert self.unharmed(target)


def test_memory_holds_a_few_batches_however_long_the_stream(tmp_path):
    """The source is asked for the next batch only when earlier ones are in the file."""
    batch = batch_of(*[record(summary=f"h{n}.example") for n in range(10)])
    done = asked = 0

    def source():
        nonlocal asked
        for _ in range(50):
            asked += 10
            assert asked - done <= 40
            yield batch

    def progress(rows: int) -> None:
        nonlocal done
        done = rows

    assert export(source(), tmp_path / "out", "ndjson", on_progress=progress).written == 500
