"""From a block of items to one INDICATORS record batch, and the items that are none."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.json

from tcetl.client.report.cutting import LIST, PREFIX, SUFFIX, json_error_offset
from tcetl.client.report.leftovers import has_leftovers, leftover
from tcetl.client.report.mending import UnusableError, mend
from tcetl.client.report.wire import ITEM, indicators, is_plain
from tcetl.errors import DamagedDocumentError

_NAME: Final = LIST.decode()
_PARSE: Final = pa.json.ParseOptions(
    explicit_schema=pa.schema([pa.field(_NAME, pa.list_(ITEM))]),
    # Unknown keys show as further fields. Their values are not taken from there, which would be lossy; see leftovers.
    unexpected_field_behavior="infer",
)
_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_START: Final = len(PREFIX)


class NotItemsError(ValueError):
    """A block is not a list of JSON values; ``position`` is the byte of its items at which that shows."""

    def __init__(self, position: int) -> None:
        super().__init__(f"not JSON at byte {position}")
        self.position = position


@dataclass(frozen=True, slots=True)
class Reject:
    """The item at *place* of a block (from 0), which is no indicator: as it was written, and what is wrong with it."""

    place: int
    raw: str
    error: UnusableError


@dataclass(frozen=True, slots=True)
class Parsed:
    """What became of a block's items: ``batch`` has the indicators; ``count`` is how many items there were."""

    batch: pa.RecordBatch
    rejects: list[Reject]
    count: int


def parse(document: bytes, exported_at: datetime | None = None) -> Parsed:
    """Parse *document*, which holds items and nothing else; see :class:`tcetl.client.report.cutting.Block`.

    Raises:
        NotItemsError: It is not JSON, or more than one list.
    """
    try:
        items = _read(document)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        items = None
    if items is None or not is_plain(items):
        return _patiently(document, exported_at)
    try:
        extra = [leftover(item) for item in _split(document)] if has_leftovers(items) else None
    except msgspec.MsgspecError:  # an unknown key with a value that only the parser takes, such as NaN
        return _patiently(document, exported_at)
    return Parsed(indicators(items, extra, exported_at), [], len(items))


def indicator_batch(items: Sequence[bytes | msgspec.Raw], *, exported_at: datetime | None = None) -> pa.RecordBatch:
    """INDICATORS of *items*, each an indicator as the v2 API writes it in a list of all types.

    Args:
        items: JSON objects.
        exported_at: When the platform made the list.

    Raises:
        DamagedDocumentError: One of them is no indicator.
    """
    document = b"".join((PREFIX, b",".join(items), SUFFIX))
    try:
        parsed = parse(document, exported_at)
    except NotItemsError as error:
        raise DamagedDocumentError(f"the list of indicators is damaged: {error}", offset=error.position) from None
    if parsed.rejects:
        bad = parsed.rejects[0]
        raise DamagedDocumentError(
            f"item {bad.place + 1} of {parsed.count} in the list of indicators is none: {bad.error.reason}",
            offset=document.find(bad.raw.encode()) - _START,
        )
    return parsed.batch


def _read(document: bytes) -> pa.StructArray | None:
    """The items as the parser takes them; None when the document is something else."""
    buffer = pa.py_buffer(document)
    pa.Array.from_buffers(pa.binary(), 1, [None, pa.array([0, len(document)], pa.int32()).buffers()[1], buffer]).cast(
        pa.string()  # the parser lets bytes pass that are not UTF-8
    )
    table = pa.json.read_json(
        pa.BufferReader(buffer),
        read_options=pa.json.ReadOptions(use_threads=False, block_size=len(document) + 1),
        parse_options=_PARSE,
    )
    if table.column_names != [_NAME] or table.num_rows != 1:
        return None
    return table.column(0).chunk(0).flatten()


def _split(document: bytes) -> list[msgspec.Raw]:
    items = document[_START - 1 : 1 - len(SUFFIX)]
    try:
        return _ITEMS.decode(items)
    except msgspec.DecodeError as error:
        raise NotItemsError(json_error_offset(error, len(items)) - 1) from None


def _patiently(document: bytes, exported_at: datetime | None) -> Parsed:
    """Item by item, each mended or rejected."""
    raws = _split(document)
    mended: list[dict[str, Any]] = []
    extra: list[str | None] = []
    rejects: list[Reject] = []
    for place, raw in enumerate(raws):
        try:
            item = mend(raw)
        except UnusableError as error:
            rejects.append(Reject(place, bytes(raw).decode(), error))
        except ValueError:
            raise NotItemsError(document.find(bytes(raw)) - _START) from None
        else:
            mended.append(item.item)
            extra.append(leftover(raw, item.misfits))
    items = _read(msgspec.json.encode({_NAME: mended}))
    assert items is not None
    assert is_plain(items)
    return Parsed(indicators(items, extra, exported_at), rejects, len(raws))
