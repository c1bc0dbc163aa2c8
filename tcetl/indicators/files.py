"""Canonical form and validity of a File: one to three hashes of the same content."""

import re
from typing import Final, NamedTuple

from tcetl.errors import InvalidValueError
from tcetl.indicators.types import SEPARATOR

_ALGORITHM: Final = {32: "md5", 40: "sha1", 64: "sha256"}
_HEX: Final = re.compile(r"[0-9A-Fa-f]+")
_BETWEEN: Final = re.compile(r"[\s,;:|/]+")


class FileHashes(NamedTuple):
    """The hashes of one file, lower case; None where unknown."""

    md5: str | None = None
    sha1: str | None = None
    sha256: str | None = None

    @property
    def summary(self) -> str:
        """The hashes that are known, upper case as the platform keeps them, in the order md5 : sha1 : sha256."""
        return SEPARATOR.join(value.upper() for value in self if value)


def file_hashes(value: str) -> FileHashes:
    """Return the hashes in *value*: one, or several of one file between blanks, commas, semicolons, colons or bars.

    Raises:
        InvalidValueError: ``bad-hash`` for anything that is no md5, sha1 or sha256, or for two hashes of one kind.
    """
    found: dict[str, str] = {}
    for token in _BETWEEN.split(value.strip().lower()):
        algorithm = _ALGORITHM.get(len(token))
        if not algorithm or not _HEX.fullmatch(token):
            raise InvalidValueError(
                "bad-hash", f"'{token[:80]}' is not an md5, sha1 or sha256", hint="32, 40 or 64 hexadecimal digits"
            )
        if found.setdefault(algorithm, token) != token:
            raise InvalidValueError("bad-hash", f"two different {algorithm} hashes cannot belong to one file")
    return FileHashes(**found)


def file_summary(value: str) -> str:
    """Return the joined, upper-case hashes of one file."""
    return file_hashes(value).summary
