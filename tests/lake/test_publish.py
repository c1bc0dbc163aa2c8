"""A published dataset: what it holds, who can read it, and what replaces it."""

import hashlib
import json

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.dataset import dataset

from tcetl.errors import PublishError
from tcetl.lake import Dataset, latest, open_dataset, publish
from tcetl.lake.field_ids import FIELD_IDS, LAKE_SCHEMA
from tcetl.lake.parts import ROW_GROUP_ROWS
from tcetl.schema import INDICATORS


def read(dataset: Dataset, columns=None) -> pa.Table:
    schema = INDICATORS if columns is None else pa.schema([INDICATORS.field(c) for c in columns])
    return pa.Table.from_batches(dataset.batches(columns), schema=schema)


def test_rows_come_back_as_they_went_in(tmp_path, batches):
    dataset = publish(batches(2500), tmp_path / "lake", run_id="r1", source="tc.example/Owner")

    assert read(dataset).equals(pa.Table.from_batches(batches(2500)))
    assert dataset.rows == 2500
    assert dataset.by_type == {"File": 834, "Host": 1666}
    assert all(batch.schema.equals(INDICATORS) for batch in dataset.batches())


def test_columns_come_in_the_order_asked_for(tmp_path, batches):
    dataset = publish(batches(10), tmp_path, run_id="r1")

    table = read(dataset, ["tags", "summary"])

    assert table.column_names == ["tags", "summary"]
    assert table.column("summary")[1].as_py() == "host-1.example"
    with pytest.raises(PublishError, match="unknown columns nope") as caught:
        dataset.batches(["nope"])
    assert "summary" in caught.value.hint


def test_manifest_tells_the_truth(tmp_path, batches):
    dataset = publish(batches(100), tmp_path, run_id="r1", source="tc.example/Owner", details={"owner": "Owner"})

    manifest = json.loads(dataset.manifest_path.read_text())
    [file] = manifest["files"]
    content = (dataset.path / file["path"]).read_bytes()

    assert file == {
        "path": "part-0000.parquet",
        "rows": 100,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    assert manifest["schema_version"] == 1
    assert manifest["run_id"] == "r1"
    assert manifest["source"] == "tc.example/Owner"
    assert manifest["details"] == {"owner": "Owner"}
    assert manifest["rows"] == 100
    assert manifest["bytes"] == len(content) == dataset.bytes
    assert json.loads(json.dumps(dataset.to_json()))["manifest_path"] == str(dataset.manifest_path)


def test_the_lake_can_be_moved(tmp_path, batches):
    publish(batches(10), tmp_path / "before", run_id="r1")
    (tmp_path / "before").rename(tmp_path / "after")

    assert read(latest(tmp_path / "after")).num_rows == 10


def test_layout_and_pointer(tmp_path, batches):
    dataset = publish(batches(10), tmp_path, run_id="manual__2024-05-01T12:00:00+00:00")

    assert dataset.path.name == "run=manual__2024-05-01T12%3A00%3A00%2B00%3A00"
    assert dataset.path.parent.parent == tmp_path / "v1"
    assert (tmp_path / "LATEST").read_text() == f"{dataset.path.relative_to(tmp_path)}\n"
    assert latest(tmp_path) == open_dataset(dataset.path) == open_dataset(tmp_path) == dataset
    assert sorted(path.name for path in tmp_path.iterdir()) == ["LATEST", "v1"]


def test_a_run_id_cannot_leave_the_lake(tmp_path, batches):
    dataset = publish(batches(10), tmp_path / "lake", run_id="../../../outside")

    assert dataset.path.parent.parent == tmp_path / "lake" / "v1"
    with pytest.raises(PublishError, match="without a run id"):
        publish(batches(1), tmp_path, run_id="")


def test_a_run_published_again_is_replaced_where_it_stands(tmp_path, batches):
    first = publish(batches(50), tmp_path, run_id="r1", rows_per_file=10)
    other = publish(batches(5), tmp_path, run_id="r2")
    moved = first.path.parent.with_name("snapshot_date=2024-05-01")
    moved.mkdir()
    first.path.rename(moved / first.path.name)

    again = publish(batches(20), tmp_path, run_id="r1")

    assert again.path == moved / first.path.name
    assert again.rows == 20
    assert [path.name for path in sorted(again.path.iterdir())] == ["_manifest.json", "part-0000.parquet"]
    assert latest(tmp_path).run_id == "r1"
    assert open_dataset(other.path).rows == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["LATEST", "v1"]


def test_no_rows_is_a_dataset_with_a_schema(tmp_path):
    dataset = publish([], tmp_path, run_id="empty")

    assert dataset.rows == 0
    assert dataset.by_type == {}
    assert list(dataset.batches()) == []
    assert duckdb.sql(f"SELECT count(*) FROM '{dataset.path}/*.parquet'").fetchall() == [(0,)]


def test_parts_are_cut_by_rows_and_by_bytes(tmp_path, batches, monkeypatch):
    monkeypatch.setattr("tcetl.lake.parts.ROW_GROUP_ROWS", 100)

    by_rows = publish(batches(1000, size=50), tmp_path, run_id="rows", rows_per_file=300)
    by_bytes = publish(batches(1000, size=50), tmp_path, run_id="bytes", bytes_per_file=1)

    assert [file.rows for file in by_rows.files] == [300, 300, 300, 100]
    assert [file.rows for file in by_bytes.files] == [100] * 10
    assert read(by_rows).equals(read(by_bytes))


def test_small_batches_are_gathered_into_row_groups(tmp_path, batches):
    dataset = publish(batches(ROW_GROUP_ROWS + 1000, size=500), tmp_path, run_id="r1")

    metadata = pq.read_metadata(dataset.files[0].path)

    assert metadata.num_row_groups == 2
    assert metadata.row_group(0).num_rows >= ROW_GROUP_ROWS


def test_large_records_do_not_fill_the_memory(tmp_path, batches, monkeypatch):
    monkeypatch.setattr("tcetl.lake.parts.ROW_GROUP_BYTES", 1)

    dataset = publish(batches(100, size=25), tmp_path, run_id="r1")

    assert pq.read_metadata(dataset.files[0].path).num_row_groups == 4


def test_memory_holds_a_few_row_groups_however_long_the_stream(tmp_path, batches):
    [batch] = batches(1000)

    def peak(rows: int) -> int:
        alive = []

        def stream():
            for _ in range(rows // 1000):
                alive.append(pa.total_allocated_bytes())
                # A fresh copy, so that what the writer keeps is what counts.
                yield pa.ipc.open_stream(memoryview(serialised)).read_next_batch()

        publish(stream(), tmp_path / str(rows), run_id="r")
        return max(alive)

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    serialised = sink.getvalue()

    # What the writing thread holds at the moment makes half of it, more or less.
    assert peak(24 * ROW_GROUP_ROWS) <= 3 * peak(4 * ROW_GROUP_ROWS)


def test_progress_counts_rows(tmp_path, batches, monkeypatch):
    monkeypatch.setattr("tcetl.lake.parts.ROW_GROUP_ROWS", 100)
    seen = []

    publish(batches(250, size=50), tmp_path, run_id="r1", on_progress=seen.append)

    assert seen == [100, 200, 250]


class TestOtherReaders:
    def test_engines_that_read_the_whole_folder_see_only_what_is_published(self, tmp_path, batches, monkeypatch):
        monkeypatch.setattr("tcetl.lake.parts.ROW_GROUP_ROWS", 10)
        publish(batches(30), tmp_path, run_id="r1")
        seen = set()

        def watched():
            for batch in batches(100, size=10):
                seen.add(duckdb.sql(f"SELECT count(*) FROM '{tmp_path}/**/*.parquet'").fetchall()[0][0])
                seen.add(dataset(tmp_path / "v1", format="parquet", partitioning="hive").count_rows())
                seen.add(pl.scan_parquet(f"{tmp_path}/**/*.parquet").select(pl.len()).collect().item())
                seen.add(latest(tmp_path).rows)
                yield batch

        publish(watched(), tmp_path, run_id="r1", rows_per_file=20)

        assert seen == {30}

    def test_duckdb_reads_the_same_rows_and_types(self, tmp_path, batches):
        dataset = publish(batches(500), tmp_path, run_id="r1")

        con = duckdb.connect()
        con.execute("SET TimeZone = 'UTC'")
        rows = con.sql(
            f"SELECT * EXCLUDE (run, snapshot_date) FROM read_parquet('{tmp_path}/**/*.parquet', "
            "hive_partitioning = true) ORDER BY id"
        )
        types = dict(zip(rows.columns, map(str, rows.types), strict=True))

        assert rows.to_arrow_table().cast(INDICATORS).equals(pa.Table.from_batches(batches(500)))
        assert types["id"] == "BIGINT"
        assert types["confidence"] == "INTEGER"
        assert types["last_modified"] == "TIMESTAMP WITH TIME ZONE"
        assert types["tags"] == 'STRUCT("name" VARCHAR, web_link VARCHAR)[]'
        assert con.sql(f"SELECT DISTINCT run FROM '{dataset.path}/*.parquet'").fetchall() == [("r1",)]

    def test_every_column_has_its_permanent_id(self, tmp_path, batches):
        dataset = publish(batches(1), tmp_path, run_id="r1")
        rows = duckdb.sql(f"SELECT name, field_id FROM parquet_schema('{dataset.files[0].path}')").fetchall()
        ids = [number for _, number in rows if number is not None]

        assert sorted(ids) == sorted(FIELD_IDS.values()) == list(range(1, 61))
        assert dict(rows)["exported_at"] == 23

    def test_file_metadata(self, tmp_path, batches):
        dataset = publish(batches(1), tmp_path, run_id="r1", source="tc.example/Ownér")
        metadata = pq.read_schema(dataset.files[0].path).metadata
        group = pq.read_metadata(dataset.files[0].path).row_group(0).to_dict()

        assert metadata[b"threatconnect.schema_version"] == b"1"
        assert metadata[b"threatconnect.source"] == "tc.example/Ownér".encode()
        assert {column["compression"] for column in group["columns"]} == {"ZSTD"}


def test_lake_schema_differs_from_indicators_in_ids_only():
    assert LAKE_SCHEMA.equals(INDICATORS)
