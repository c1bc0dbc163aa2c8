"""A stream of record batches written as Parquet part files, in memory that does not grow with the stream."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from tcetl.ahead import ahead
from tcetl.atomic import publish_errors
from tcetl.errors import PublishError
from tcetl.lake.field_ids import LAKE_SCHEMA
from tcetl.schema import INDICATORS

# Small row groups cost file size and scan speed, large ones memory: with 128 Ki rows the same bulk report takes
# 170 MiB more and is no faster. The byte limit keeps records of unusual size from filling the memory instead.
ROW_GROUP_ROWS: Final = 32_768
ROW_GROUP_BYTES: Final = 64 << 20

# A dictionary pays only where values repeat; the other text columns are nearly unique.
_DICTIONARY: Final = [
    "owner_name",
    "type",
    "tlp",
    "source",
    "security_labels.list.element",
    "tags.list.element.name",
    "tags.list.element.web_link",
    "attributes.list.element.type",
    "attributes.list.element.source",
    "origin.source",
    "origin.file",
]

# The least and the greatest value help a reader to skip what it does not look for; nobody looks for ranges of texts,
# nor can an engine skip by what stands in lists.
_TEXTS: Final = {"web_link", "description", "extra"}
_STATISTICS: Final = [
    field.name for field in INDICATORS if not pa.types.is_nested(field.type) and field.name not in _TEXTS
]


@dataclass(frozen=True, slots=True)
class File:
    """One Parquet file of a dataset: its ``path``, ``rows``, size in ``bytes`` and hex ``sha256``."""

    path: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Written:
    """What :func:`write_parts` wrote: the files (by name) and the rows by indicator type.

    Until :meth:`finish` the files bear another suffix: engines that read a lake by ``**/*.parquet`` look into hidden
    folders too, and stumble over a file that has no footer yet.
    """

    folder: Path
    files: list[File]
    by_type: dict[str, int]

    def finish(self) -> None:
        """Give the files the names that they have in a dataset."""
        for file in self.files:
            with publish_errors(self.folder / file.path):
                _unfinished(self.folder / file.path).rename(self.folder / file.path)


def _unfinished(path: Path) -> Path:
    return path.with_suffix(".unfinished")


def write_parts(
    batches: Iterable[pa.RecordBatch],
    folder: Path,
    *,
    source: str,
    rows_per_file: int,
    bytes_per_file: int,
    on_progress: Callable[[int], None] | None = None,
) -> Written:
    """Write *batches* as ``part-0000.parquet`` and so on in *folder*: at least one file, so readers find a schema.

    The files get these names by :meth:`Written.finish`.

    Args:
        batches: Record batches with the INDICATORS schema.
        folder: An existing, empty directory.
        source: Where the records come from, for the files' metadata.
        rows_per_file: Rows after which the next file is begun (in whole row groups).
        bytes_per_file: Bytes on disk after which the next file is begun (in whole row groups).
        on_progress: Called with the rows written so far.

    Raises:
        PublishError: A file cannot be written, or a batch does not have the INDICATORS schema.
    """
    schema = LAKE_SCHEMA.with_metadata({**LAKE_SCHEMA.metadata, b"threatconnect.source": source.encode()})
    parts = _Parts(folder, schema, rows_per_file, bytes_per_file)
    try:
        # One row group is written while the next is read.
        with closing(ahead(parts.write, _row_groups(batches, folder), threads=1, most=2)) as written:
            for rows in written:
                if on_progress:
                    on_progress(rows)
        parts.finish()
    finally:
        parts.abandon()
    return Written(folder, parts.files, dict(sorted(parts.by_type.items())))


def _row_groups(batches: Iterable[pa.RecordBatch], folder: Path) -> Iterator[pa.Table]:
    """Gather small batches into row groups: a Parquet writer begins a new one at every write."""
    pending: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        if not batch.schema.equals(INDICATORS):
            raise PublishError(f"cannot write {folder}: a batch is not INDICATORS: {_difference(batch.schema)}")
        pending.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= ROW_GROUP_ROWS or size >= ROW_GROUP_BYTES:
            yield pa.Table.from_batches(pending)
            pending, rows, size = [], 0, 0

    if rows:
        yield pa.Table.from_batches(pending)


def _difference(schema: pa.Schema) -> str:
    missing = [name for name in INDICATORS.names if name not in schema.names]
    unknown = [name for name in schema.names if name not in INDICATORS.names]
    changed = [
        field.name for field in INDICATORS if field.name in schema.names and not field.equals(schema.field(field.name))
    ]
    return f"missing columns {missing}, unknown {unknown}, of another type {changed}"


class _Parts:
    """The part files of a folder, one after the other; ``files`` are those that are whole."""

    def __init__(self, folder: Path, schema: pa.Schema, rows_per_file: int, bytes_per_file: int) -> None:
        self.files: list[File] = []
        self.by_type: Counter[str] = Counter()
        self._rows = 0
        self._folder = folder
        self._schema = schema
        self._limits = rows_per_file, bytes_per_file
        self._part: _Part | None = None

    def write(self, group: pa.Table) -> int:
        """Write *group*, and return the rows written so far."""
        part = self._part = self._part or self._next()
        part.write(group)
        self._rows += group.num_rows
        for count in group.column("type").value_counts():
            self.by_type[count["values"].as_py()] += count["counts"].as_py()
        rows_per_file, bytes_per_file = self._limits
        if part.rows >= rows_per_file or part.size >= bytes_per_file:
            self._finish(part)
        return self._rows

    def finish(self) -> None:
        """Make the last file whole; there is at least one."""
        if self._part is not None or not self.files:
            self._finish(self._part or self._next())

    def abandon(self) -> None:
        """Close what is not whole as it is."""
        if self._part is not None:
            self._part.abandon()

    def _next(self) -> "_Part":
        return _Part(self._folder / f"part-{len(self.files):04d}.parquet", self._schema)

    def _finish(self, part: "_Part") -> None:
        self._part = None
        self.files.append(part.finish())


class _Part:
    """One part file being written."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.rows = 0
        self._written = _unfinished(path)
        with publish_errors(path):
            self._sink = pa.OSFile(str(self._written), "wb")
            self._writer = pq.ParquetWriter(
                self._sink,
                schema,
                compression="zstd",
                compression_level=1,  # of these columns level 3 makes files no smaller, and takes a third longer
                use_dictionary=_DICTIONARY,
                write_statistics=_STATISTICS,
                write_page_index=True,
                write_page_checksum=True,
            )

    @property
    def size(self) -> int:
        """Bytes on disk so far."""
        return int(self._sink.tell())

    def write(self, group: pa.Table) -> None:
        with publish_errors(self.path):
            self._writer.write_table(group, row_group_size=max(group.num_rows, 1))
        self.rows += group.num_rows

    def finish(self) -> File:
        """Write the footer, flush to the disk, and describe the file."""
        with publish_errors(self.path):
            try:
                self._writer.close()
            finally:
                self.abandon()
            with self._written.open("rb+") as file:
                os.fsync(file.fileno())
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            return File(self.path.name, self.rows, self._written.stat().st_size, digest)

    def abandon(self) -> None:
        """Close the file as it is, without a footer."""
        self._writer.is_open = False  # else its destructor would try to write one into the closed file
        self._sink.close()
