"""Files of a run directory: each appears whole or not at all, on a local disk or an object store."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

import msgspec

from tcetl.atomic import publish_errors, sync_directory
from tcetl.errors import NOT_JSON, LoadError

if TYPE_CHECKING:
    from upath import UPath

    AnyPath = str | os.PathLike[str] | UPath
    RunPath = Path | UPath
else:
    AnyPath = str | os.PathLike[str]
    RunPath = Path
"""A plain path on a local disk; a universal path elsewhere (``s3://…``, ``memory://…``)."""

_T = TypeVar("_T")


def locate(path: AnyPath) -> RunPath:
    """Return *path* (a path or an fsspec URL) as a plain local path where it is one, as a universal path elsewhere."""
    if isinstance(path, str | Path) and ":" not in str(path):
        return Path(path)
    from upath import UPath  # noqa: PLC0415 - brings fsspec along, which local disks do without

    found = path if isinstance(path, UPath) else UPath(path)
    return Path(found.path) if found.protocol in ("", "file", "local") else found


def full_name(path: RunPath) -> str:
    """Return *path* as it reads from any working directory."""
    return str(path.absolute() if isinstance(path, Path) else path)


def write_whole(path: RunPath, content: bytes) -> None:
    """Put *content* at *path* durably and in one step: readers see the old file or the new one, never a part."""
    with replacing(path) as stream:
        stream.write(content)


def read_json(path: RunPath, kind: type[_T], *, hint: str) -> _T:
    """Return the *kind* that the JSON file at *path* holds; *hint* is the mend where it is damaged.

    Raises:
        FileNotFoundError: There is none.
        LoadError: It is damaged: not UTF-8, no JSON, or not of that kind.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except NOT_JSON as error:
        raise LoadError(f"{path} is damaged: {error}", hint=hint) from error


@contextmanager
def replacing(path: RunPath) -> Iterator[IO[bytes]]:
    """Yield a stream whose content takes *path*'s place when the block ends well; otherwise *path* stays as it was.

    On a local disk the content is flushed to the disk before it is renamed into place, and the folder after it. An
    object store gets one upload of the finished file, since closing its own streams publishes even a half-written one.
    """
    with publish_errors(str(path)):
        folder = path.parent if isinstance(path, Path) else None
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=folder)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            if isinstance(path, Path):
                temporary.replace(path)
                sync_directory(path.parent)
            else:
                path.fs.put_file(name, path.path)
        finally:
            temporary.unlink(missing_ok=True)


def sha256(content: bytes) -> str:
    """Return the SHA-256 of *content* in hex."""
    return hashlib.sha256(content).hexdigest()


def clear_folder(folder: RunPath) -> None:
    """Make *folder* exist and be empty."""
    with publish_errors(str(folder)):
        if folder.exists():
            if isinstance(folder, Path):
                shutil.rmtree(folder)
            else:
                folder.fs.rm(folder.path, recursive=True)
    make_folder(folder)


def make_folder(folder: RunPath) -> None:
    """Make *folder* exist, with whatever is missing above it."""
    with publish_errors(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
