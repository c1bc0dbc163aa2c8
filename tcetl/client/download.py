"""The body of a streamed answer as a readable stream that says what went wrong, and at which byte."""

import io
from typing import TYPE_CHECKING, Final

import requests
import urllib3.exceptions

from tcetl.errors import DamagedDocumentError
from tcetl.reasons import reason_of

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MOST: Final = 1 << 20
"""Bytes that are read at once: larger ones come in memory that the kernel must clear each time."""


class Download(io.RawIOBase):
    """A raw binary stream over a streamed answer, decompressed where the platform compressed it.

    Holds on to the answer, without which the connection could be taken back while it is still being read.

    Attributes:
        offset: Bytes given out so far.
        expected_bytes: Length that the platform announced; None when it announced none, or that of compressed data.
    """

    def __init__(self, response: requests.Response, what: str) -> None:
        """Read the body of *response*; *what* names the document in errors."""
        super().__init__()
        self._response = response
        self._what = what
        self.offset = 0
        length = response.headers.get("Content-Length", "")
        plain = response.headers.get("Content-Encoding", "identity") == "identity"
        self.expected_bytes = int(length) if plain and length.isdecimal() else None

    def readable(self) -> bool:
        """True: this is what it is for."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill *buffer* as far as there is data; 0 at the end.

        Raises:
            DamagedDocumentError: The connection broke, timed out, or ended before the announced length.
        """
        view = memoryview(buffer).cast("B")
        try:
            data = self._response.raw.read(min(len(view), _MOST), decode_content=True)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise DamagedDocumentError(
                f"{self._what} broke off after {self.offset:,} bytes: {reason_of(error)}",
                offset=self.offset,
                hint="run again; nothing of it was published",
            ) from None
        view[: len(data)] = data
        self.offset += len(data)
        return len(data)

    def close(self) -> None:
        """Give the connection up."""
        self._response.close()
        super().close()
