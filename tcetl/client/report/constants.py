"""Arrow constants made of buffers.

Wherever pyarrow converts a Python object, it imports the whole of pandas: half a second and 60 MiB for every process
that reads a report, most of which have no other use for it.
"""

from datetime import UTC, datetime, timedelta
from itertools import accumulate
from struct import pack
from typing import Final

import pyarrow as pa

from tcetl.schema import TIMESTAMP

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def offsets(*ends: int) -> pa.Buffer:
    """The offsets buffer of a text or list array whose elements end at *ends*."""
    return pa.py_buffer(pack(f"={len(ends) + 1}i", 0, *ends))


def texts(*values: str) -> pa.StringArray:
    """An array of *values*."""
    encoded = [value.encode() for value in values]
    ends = accumulate(len(value) for value in encoded)
    return pa.StringArray.from_buffers(len(encoded), offsets(*ends), pa.py_buffer(b"".join(encoded)))


def text(value: str | None) -> pa.StringScalar:
    """*value* as a scalar."""
    return pa.nulls(1, pa.string())[0] if value is None else texts(value)[0]


def number(value: int) -> pa.Int32Scalar:
    """*value* as a scalar."""
    return pa.Array.from_buffers(pa.int32(), 1, [None, pa.py_buffer(pack("=i", value))])[0]


def timestamp(moment: datetime) -> pa.TimestampScalar:
    """*moment*, which has a zone, as a scalar."""
    microseconds = (moment - _EPOCH) // timedelta(microseconds=1)
    return pa.Array.from_buffers(TIMESTAMP, 1, [None, pa.py_buffer(pack("=q", microseconds))])[0]
