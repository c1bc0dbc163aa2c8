"""Outputs that appear whole or not at all: written aside, flushed to the disk, then renamed into place."""

import ctypes
import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import BinaryIO, Final, Self

import pyarrow as pa

from tcetl.errors import PublishError, mend_of

_DEFAULT_HINT: Final = "nothing was published: mend this, then run again"
_AT_FDCWD: Final = -100
_EXCHANGE: Final = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS


@contextmanager
def publish_errors(path: os.PathLike[str] | str) -> Iterator[None]:
    """Turn whatever goes wrong while *path* is written into a :class:`PublishError` with the path and the mend.

    Wrap writes only, never the reading of a source: a lost connection is no fault of the output.
    """
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        hint = mend_of(error) or _DEFAULT_HINT
        raise PublishError(f"cannot write {os.fspath(path)}: {reason}", hint=hint) from error
    except pa.ArrowInvalid as error:
        raise PublishError(f"cannot write {os.fspath(path)}: {error}", hint=_DEFAULT_HINT) from error


@contextmanager
def closing_writes(path: os.PathLike[str] | str) -> Iterator[ExitStack]:
    """A stack of files being written, at or below *path*, for the block: closing them writes what is left of them.

    Raises:
        PublishError: That fails. After a block that failed, they are closed without a word.
    """
    with ExitStack() as files:
        try:
            yield files
        except BaseException:
            with suppress(OSError):  # what did not fit before does not fit now
                files.close()
            raise
        with publish_errors(path):
            files.close()


def sync_directory(path: Path) -> None:
    """Flush a directory, so that a rename in it survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def exchange(one: Path, other: Path) -> None:
    """Let two paths of one file system change places, in one step: nobody ever finds either missing.

    A file system or system that cannot do so (NFS, for one) takes three renames, between which *other* is missing.

    Raises:
        OSError: They are as they were before.
    """
    if _exchanged(os.fsencode(one), os.fsencode(other)):
        return
    aside = one.with_name(f".{one.name}.{token_hex(4)}.tmp")
    with ExitStack() as undo:
        for source, target in ((other, aside), (one, other), (aside, one)):
            source.rename(target)
            undo.callback(target.rename, source)
        undo.pop_all()


def _exchanged(one: bytes, other: bytes) -> bool:
    """Ask the system for it: ``renameat2`` of Linux, ``renamex_np`` of macOS; False where it cannot."""
    system = ctypes.CDLL(None, use_errno=True)
    if rename := getattr(system, "renameat2", None):
        failed = rename(_AT_FDCWD, one, _AT_FDCWD, other, _EXCHANGE)
    elif rename := getattr(system, "renamex_np", None):
        failed = rename(one, other, _EXCHANGE)
    else:
        return False
    if failed and ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), os.fsdecode(other))
    return not failed


class AtomicFile:
    """A file to write in one go: leaving the ``with`` block publishes it, leaving by an exception removes it.

    ``size`` and ``sha256`` describe what was written so far. Failed writes raise :class:`PublishError`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._hash = hashlib.sha256()
        self._temporary = path.with_name(f".{path.name}.{token_hex(4)}.tmp")
        self._file: BinaryIO

    @property
    def sha256(self) -> str:
        """The hex digest of what was written so far."""
        return self._hash.hexdigest()

    def __enter__(self) -> Self:
        with publish_errors(self.path):
            if self.path.is_dir():
                raise IsADirectoryError(errno.EISDIR, "is a directory", str(self.path))
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._temporary.open("xb")
        return self

    def write(self, data: bytes | memoryview) -> None:
        """Append *data*."""
        with publish_errors(self.path):
            self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._discard()
            return

        try:
            with publish_errors(self.path):
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
                self._temporary.replace(self.path)
                sync_directory(self.path.parent)
        except BaseException:
            self._discard()
            raise

    def _discard(self) -> None:
        with suppress(OSError):  # closing flushes, and on a full disk that fails once more
            self._file.close()
        self._temporary.unlink(missing_ok=True)
