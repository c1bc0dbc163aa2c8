"""Publishing when things go wrong: readers keep what they had, nothing is left over, the error names the mend."""

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tcetl.errors import BulkReportError, PublishError
from tcetl.lake import latest, open_dataset, publish
from tcetl.schema import INDICATORS


def full_disk(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def lake(tmp_path, batches):
    root = tmp_path / "lake"
    publish(batches(30), root, run_id="r1")
    return root


def leaves_no_trace(lake: Path, before: dict[str, bytes]) -> bool:
    return tree(lake) == before and latest(lake).rows == 30 and not list(lake.glob(".*"))


@pytest.mark.parametrize("run_id", ["r1", "r2"])
@pytest.mark.parametrize(
    "broken",
    [
        (pq.ParquetWriter, "write_table"),
        (pq.ParquetWriter, "close"),
        (os, "fsync"),
        (Path, "rename"),
        (Path, "replace"),
    ],
    ids=lambda broken: broken[1],
)
def test_a_full_disk_leaves_readers_what_they_had(lake, batches, monkeypatch, run_id, broken):
    before = tree(lake)
    with monkeypatch.context() as patch:
        patch.setattr(*broken, full_disk)
        with pytest.raises(PublishError, match="No space left on device") as caught:
            publish(batches(10), lake, run_id=run_id)

    assert str(lake) in caught.value.message
    assert "free space" in caught.value.hint
    assert leaves_no_trace(lake, before)


@pytest.mark.parametrize("run_id", ["r1", "r2"])
def test_a_pointer_that_cannot_be_replaced_takes_the_dataset_back(lake, batches, monkeypatch, run_id):
    before = tree(lake)
    replace = Path.replace

    def refuse(self, target):
        if Path(target).name == "LATEST":
            full_disk()
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(PublishError, match="LATEST: No space left"):
            publish(batches(10), lake, run_id=run_id)

    assert leaves_no_trace(lake, before)


@pytest.mark.parametrize(
    "error", [BulkReportError("the report changed"), ConnectionResetError("gone"), KeyboardInterrupt()]
)
def test_a_source_that_fails_midway_is_not_published(lake, batches, monkeypatch, error):
    monkeypatch.setattr("tcetl.lake.parts.ROW_GROUP_ROWS", 10)
    before = tree(lake)

    def failing():
        yield from batches(100, size=10)
        raise error

    with pytest.raises(type(error)) as caught:
        publish(failing(), lake, run_id="r1")

    assert caught.value is error
    assert leaves_no_trace(lake, before)


def test_first_publication_that_fails_leaves_no_lake(tmp_path, batches, monkeypatch):
    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(PublishError):
        publish(batches(10), tmp_path / "deep" / "lake", run_id="r1")

    assert list(tmp_path.iterdir()) == []
    with pytest.raises(PublishError, match="nothing was published"):
        latest(tmp_path / "deep" / "lake")


def test_a_file_size_limit_of_the_system(tmp_path):
    """The real thing: the kernel refuses the write in the middle of a part file."""
    script = textwrap.dedent(
        """
        import resource, signal, sys, os
        import pyarrow as pa
        from tcetl.errors import PublishError
        from tcetl.lake import publish
        from tcetl.schema import INDICATORS

        def batches():
            for _ in range(40):
                rows = [{"owner_name": "o", "type": "Host", "summary": os.urandom(20).hex(), "tags": [],
                         "attributes": [], "security_labels": []} for _ in range(1000)]
                yield pa.RecordBatch.from_pylist(rows, schema=INDICATORS)

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            publish(batches(), sys.argv[1], run_id="r1")
        except PublishError as error:
            print(error)
            sys.exit(7)
        """
    )
    lake = tmp_path / "lake"
    run = subprocess.run([sys.executable, "-c", script, str(lake)], capture_output=True, text=True, check=False)

    assert run.returncode == 7, run.stderr
    assert "part-0000.parquet: File too large" in run.stdout
    assert not lake.exists()


def test_no_permission(lake, batches, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(PublishError, match="Permission denied") as caught:
        publish(batches(1), lake, run_id="r2")

    assert "write permission" in caught.value.hint


def test_other_schemas_are_refused(tmp_path, batches):
    [good] = batches(3)
    cases = {
        "missing columns ['origin']": good.drop_columns(["origin"]),
        "of another type ['confidence']": good.set_column(5, "confidence", good.column("confidence").cast(pa.int64())),
    }
    for expected, batch in cases.items():
        with pytest.raises(PublishError) as caught:
            publish([batch], tmp_path, run_id="r1")
        assert expected in caught.value.message

    empty_summary = good.set_column(3, INDICATORS.field("summary"), pa.nulls(3, pa.string()))
    with pytest.raises(PublishError, match="summary"):
        publish([empty_summary], tmp_path, run_id="r1")
    assert list(tmp_path.iterdir()) == []


def test_object_stores_are_refused_by_name(batches):
    with pytest.raises(PublishError, match="s3://bucket/lake"):
        publish(batches(1), "s3://bucket/lake", run_id="r1")


def test_what_killed_processes_left_is_swept_after_a_day(lake, batches):
    old, fresh = lake / ".staging-old", lake / ".staging-fresh"
    for folder in (old, fresh):
        (folder / "fresh").mkdir(parents=True)
        (folder / "fresh" / "part-0000.parquet").write_bytes(b"half")
    for path in (old / "fresh" / "part-0000.parquet", old / "fresh", old):
        os.utime(path, (0, 0))

    publish(batches(1), lake, run_id="r2")

    assert not old.exists()
    assert fresh.exists()


class TestReaders:
    def test_a_missing_file(self, lake):
        dataset = latest(lake)
        Path(dataset.files[0].path).unlink()
        for read in (dataset.batches, lambda: open_dataset(dataset.path), lambda: latest(lake)):
            with pytest.raises(PublishError, match=r"part-0000\.parquet is missing"):
                read()

    def test_a_file_of_another_size(self, lake):
        dataset = latest(lake)
        with Path(dataset.files[0].path).open("ab") as file:
            file.write(b"x")
        with pytest.raises(PublishError, match="bytes instead of"):
            open_dataset(dataset.path)

    def test_a_damaged_page(self, lake):
        dataset = latest(lake)
        path = Path(dataset.files[0].path)
        content = bytearray(path.read_bytes())
        column = pq.read_metadata(path).row_group(0).column(3)
        content[column.data_page_offset + column.total_compressed_size // 2] ^= 0xFF
        path.write_bytes(content)
        with pytest.raises(PublishError, match="cannot read"):
            list(dataset.batches())

    def test_no_dataset(self, tmp_path):
        with pytest.raises(PublishError, match="no dataset at"):
            open_dataset(tmp_path)
        with pytest.raises(PublishError, match="nothing was published"):
            latest(tmp_path / "missing")

    @pytest.mark.parametrize("content", [b'{"rows": 1', b'{"run_id": "\xff"}'])
    def test_a_damaged_manifest(self, lake, content):
        latest(lake).manifest_path.write_bytes(content)
        with pytest.raises(PublishError, match=r"cannot read .*_manifest\.json"):
            latest(lake)

    @pytest.mark.parametrize("content", [b"", b"\n", b".", b"v1/nowhere", b"\xff"])
    def test_a_pointer_that_leads_nowhere(self, lake, content):
        (lake / "LATEST").write_bytes(content)
        with pytest.raises(PublishError, match="LATEST") as caught:
            open_dataset(lake)
        assert caught.value.hint

    def test_a_manifest_of_the_future(self, lake):
        manifest = latest(lake).manifest_path
        manifest.write_text(manifest.read_text().replace('"schema_version": 1', '"schema_version": 2'))
        with pytest.raises(PublishError, match="schema version 2") as caught:
            latest(lake)
        assert caught.value.hint == "update tcetl"
