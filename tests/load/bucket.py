"""An object store that several processes share: ``bucket:///path``, which is a folder on the local disk.

To the code under test it is as strange as any other: no locks, no renames, reached through fsspec alone. Import this
module in every process that uses it.
"""

import os
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem
from upath import UPath
from upath.registry import register_implementation


class Bucket(LocalFileSystem):
    protocol = "bucket"
    cachable = False

    def __init__(self, **options: Any) -> None:
        super().__init__(auto_mkdir=True, **options)

    @classmethod
    def _strip_protocol(cls, path: Any) -> str:
        return super()._strip_protocol(str(path).removeprefix("bucket://"))

    def unstrip_protocol(self, name: str) -> str:
        return f"bucket://{self._strip_protocol(name)}"


class BucketPath(UPath):
    """Says no more than that the protocol is known."""


fsspec.register_implementation("bucket", Bucket)
register_implementation("bucket", BucketPath)


def age(path: UPath, seconds: float) -> None:
    """Let the store say that the object was put *seconds* ago."""
    then = path.fs.modified(path.path).timestamp() - seconds
    os.utime(path.path, (then, then))
