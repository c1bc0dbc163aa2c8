"""ZIP archives: which files they hold, and reading one of them, encrypted or not."""

import zipfile
from typing import BinaryIO, Final, cast

from tcetl.errors import FeedError
from tcetl.feeds.unreadable import refuse_document

_AES: Final = 99  # the compression method under which archives note that a member is encrypted with AES


class Zipped:
    """The ZIP archive in *file*, whose list of files is read once: there may be very many.

    What archivers add of their own, and hidden files, are left out.

    Args:
        file: Its bytes; they stay open until whoever opened them closes them.
        location: Where it is, for errors.

    Attributes:
        sizes: Its files by name, sorted, each with its size when it is unpacked.

    Raises:
        FeedError: it is a document of a kind that no reader reads.
        zipfile.BadZipFile: it is damaged.
    """

    def __init__(self, file: BinaryIO, location: str) -> None:
        self.location = location
        self._file = file
        self._archive = zipfile.ZipFile(file)
        self._with_aes: zipfile.ZipFile | None = None
        sizes = {info.filename: info.file_size for info in self._archive.infolist() if _is_member(info.filename)}
        self.sizes = dict(sorted(sizes.items()))
        refuse_document(self.sizes, location)

    def open(self, name: str, password: str | None) -> BinaryIO:
        """Open the file called *name*; a *password* is for those that are encrypted.

        Raises:
            FeedError: it is encrypted, and there is no password or nothing that reads it.
            RuntimeError: the password is wrong, or the method of compression unknown.
        """
        info = self._archive.getinfo(name)
        if info.flag_bits & 1 and password is None:
            raise FeedError(
                f"'{name}' in archive {self.location} is encrypted",
                hint="give its password: --archive-password-env VARIABLE",
            )
        archive = self._aes() if info.compress_type == _AES else self._archive
        return cast(BinaryIO, archive.open(name, pwd=password.encode() if password else None))

    def packed_size(self, name: str) -> int:
        """Return how many bytes of the archive the file called *name* is."""
        return self._archive.getinfo(name).compress_size

    def _aes(self) -> zipfile.ZipFile:
        if self._with_aes is None:
            try:
                import pyzipper  # noqa: PLC0415 - of the extra "feeds"
            except ImportError:
                raise FeedError(
                    f"archive {self.location} is encrypted with AES",
                    hint="install the extra that reads it: pip install 'tcetl[feeds]'",
                ) from None
            self._with_aes = cast(zipfile.ZipFile, pyzipper.AESZipFile(self._file))
        return self._with_aes


def _is_member(name: str) -> bool:
    last = f"/{name}".rpartition("/")[2]  # empty where the name is a folder's, or damaged
    return bool(last) and not last.startswith(".") and not name.startswith("__MACOSX/")
