"""Datasets as readers see them: a folder of Parquet files and the manifest that says what must be there."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tcetl.errors import NOT_JSON, PublishError
from tcetl.lake.parts import File
from tcetl.schema import INDICATORS, SCHEMA_VERSION, conform

MANIFEST: Final = "_manifest.json"  # engines that read a whole folder pass over names with an underscore
REJECTS_FILE: Final = "_rejects.ndjson"
LATEST: Final = "LATEST"
_BATCH_ROWS: Final = 16_384  # an export holds a few batches, each several times over as text


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One published run: what its manifest says, and how to read it.

    Attributes:
        path: The dataset's folder.
        run_id: The run that wrote it.
        files: Its Parquet files, with absolute paths.
        rows: Rows of all files.
        rejected: Records of the source that are no indicators; :attr:`rejects_path` has them.
        bytes: Bytes of all files.
        by_type: Rows by indicator type.
        source: Where the records came from.
        details: What the publisher added.
        published_at: When it was published, RFC 3339 in UTC.
        schema_version: Version of the INDICATORS schema that it was written with.
    """

    path: Path
    run_id: str
    files: list[File]
    rows: int
    bytes: int
    by_type: dict[str, int]
    rejected: int = 0
    source: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    published_at: str = ""
    schema_version: int = SCHEMA_VERSION

    @property
    def manifest_path(self) -> Path:
        """The dataset's manifest, a JSON file."""
        return self.path / MANIFEST

    @property
    def rejects_path(self) -> Path | None:
        """Rows of REJECTS as NDJSON; None when nothing was rejected."""
        return self.path / REJECTS_FILE if self.rejected else None

    def to_json(self) -> dict[str, Any]:
        """Return the dataset as JSON-ready values: small, for XComs and reports."""
        paths = {"path": self.path, "manifest_path": self.manifest_path, "rejects_path": self.rejects_path}
        return asdict(self) | {name: path and str(path) for name, path in paths.items()}

    def verify(self) -> None:
        """Check that every file of the manifest is there with its size.

        Raises:
            PublishError: A file is missing or has another size.
        """
        with self._opened():
            pass

    @contextmanager
    def _opened(self) -> Iterator[list[pa.OSFile]]:
        """All files, open together: who has begun to read goes on with them when the run is published again."""
        with ExitStack() as held:
            streams = []
            for file in self.files:
                try:
                    stream = held.enter_context(pa.OSFile(file.path, "rb"))
                except FileNotFoundError:
                    what = f"dataset {self.path} is incomplete: {file.path} is missing"
                    raise PublishError(what, hint=_AGAIN) from None
                except OSError as error:
                    raise PublishError(f"cannot read {file.path}: {error}", hint=_AGAIN) from error
                if stream.size() != file.bytes:
                    raise PublishError(
                        f"dataset {self.path} is damaged: {file.path} has {stream.size():,} bytes "
                        f"instead of {file.bytes:,}",
                        hint=_AGAIN,
                    )
                streams.append(stream)
            yield streams

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Stream the rows as record batches of INDICATORS, or of some of its columns in the order asked for.

        Raises:
            PublishError: A file is missing, has another size or row count, or is damaged; or a column is unknown.
        """
        unknown = sorted(set(columns or ()) - set(INDICATORS.names))
        if unknown:
            raise PublishError(
                f"unknown columns {', '.join(unknown)} asked of {self.path}",
                hint=f"known are {', '.join(INDICATORS.names)}",
            )
        self.verify()
        return self._read(INDICATORS if columns is None else _some_of(columns))

    def batches_in_order(
        self, columns: Sequence[str] | None = None, *, on_progress: Callable[[int], None] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """As :meth:`batches`, sorted by owner, type and summary, so that equal records make equal files.

        Memory is bounded; what does not fit lies in a temporary folder meanwhile.

        Args:
            columns: Some of the columns of INDICATORS; all when None.
            on_progress: Called with the rows that are written aside so far.

        Raises:
            PublishError: As for :meth:`batches`, or the temporary folder cannot be written.
        """
        from tcetl.lake.ordering import KEY, in_order  # noqa: PLC0415 - needs polars, which a download does not

        names = list(columns or INDICATORS.names)
        needed = list(dict.fromkeys([*names, *KEY]))
        ordered = in_order(self.batches(needed), _some_of(needed), on_progress)
        return (batch.select(names) for batch in ordered)

    def _read(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        with self._opened() as streams:
            for file, stream in zip(self.files, streams, strict=True):
                try:
                    with pq.ParquetFile(stream, page_checksum_verification=True) as parquet:
                        if parquet.metadata.num_rows != file.rows:
                            what = f"dataset {self.path} is damaged: {file.path} has another number of rows"
                            raise PublishError(what, hint=_AGAIN)
                        present = [name for name in schema.names if name in parquet.schema_arrow.names]
                        rows = parquet.iter_batches(batch_size=_BATCH_ROWS, columns=present)
                        yield from conform(rows, schema)
                except (OSError, pa.ArrowInvalid) as error:
                    raise PublishError(f"cannot read {file.path}: {error}", hint=_AGAIN) from error


_AGAIN: Final = "publish the run again"


def _some_of(columns: Sequence[str]) -> pa.Schema:
    return pa.schema([INDICATORS.field(name) for name in columns])


def write_manifest(dataset: Dataset) -> bytes:
    """Return the manifest's text; file paths in it are relative, so that a lake can be moved."""
    content = asdict(dataset)
    del content["path"]
    for file in content["files"]:
        file["path"] = Path(file["path"]).name
    return msgspec.json.format(msgspec.json.encode(content, enc_hook=str), indent=2) + b"\n"


@dataclass(frozen=True)
class _Manifest:
    schema_version: int
    run_id: str
    source: str
    published_at: str
    rows: int
    rejected: int
    bytes: int
    by_type: dict[str, int]
    details: dict[str, Any]
    files: list[File]


def open_dataset(path: str | os.PathLike[str]) -> Dataset:
    """Open the dataset in the folder *path*; a lake's root stands for its latest dataset.

    Raises:
        PublishError: There is no dataset, or it is incomplete, damaged, or written by a newer tcetl.
    """
    folder = local_path(path)
    if (folder / LATEST).is_file():
        return latest(folder)

    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=_Manifest)
    except (FileNotFoundError, NotADirectoryError):
        raise PublishError(f"no dataset at {folder}", hint=f"name a lake's root or a folder with {MANIFEST}") from None
    except (OSError, *NOT_JSON) as error:
        raise PublishError(f"cannot read {folder / MANIFEST}: {error}", hint=_AGAIN) from error
    if manifest.schema_version > SCHEMA_VERSION:
        raise PublishError(
            f"dataset {folder} has schema version {manifest.schema_version}, this tcetl knows {SCHEMA_VERSION}",
            hint="update tcetl",
        )

    files = [replace(file, path=str(folder / file.path)) for file in manifest.files]
    dataset = Dataset(**{**vars(manifest), "path": folder, "files": files})
    dataset.verify()
    return dataset


def latest(root: str | os.PathLike[str]) -> Dataset:
    """Open the dataset that was published last in the lake at *root*.

    Raises:
        PublishError: Nothing was published there yet, or the dataset is incomplete or damaged.
    """
    folder = local_path(root)
    try:
        name = (folder / LATEST).read_text("utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        raise PublishError(f"nothing was published in the lake {folder} yet", hint="publish a run first") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PublishError(f"cannot read {folder / LATEST}: {error}", hint=_AGAIN) from error
    if not (folder / name / MANIFEST).is_file():
        raise PublishError(f"{folder / LATEST} points to {name!r}, where no dataset is", hint=_AGAIN)
    return open_dataset(folder / name)


def local_path(path: str | os.PathLike[str]) -> Path:
    """Return *path* as an absolute local path: the one place where a lake's address becomes a file system.

    Raises:
        PublishError: *path* is the URL of an object store.
    """
    if "://" in os.fspath(path):
        raise PublishError(f"cannot use {os.fspath(path)}: a lake must be a local folder", hint="name a local path")
    return Path(path).absolute()
