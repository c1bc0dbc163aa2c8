"""From a block of items to one INDICATORS record batch, and the items that are none."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.json

from tcetl.client.report.constants import offsets
from tcetl.client.report.cutting import PREFIX, SUFFIX, NotJsonError, split
from tcetl.client.report.leftovers import leftover
from tcetl.client.report.mending import UnusableError, mend
from tcetl.client.report.seen import Seen, filled, strict
from tcetl.client.report.wire import ITEM, indicators, is_plain
from tcetl.errors import NOT_JSON, DamagedDocumentError

_KNOWN_ONLY: Final = strict(ITEM)
_KNOWN: Final = pa.json.ParseOptions(explicit_schema=_KNOWN_ONLY.explicit_schema, unexpected_field_behavior="ignore")
_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_START: Final = len(PREFIX)


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


def parse(document: bytes, exported_at: datetime | None = None, seen: Seen | None = None) -> Parsed:
    """Parse *document*, which holds items and nothing else; see :class:`tcetl.client.report.cutting.Block`.

    Args:
        document: The items.
        exported_at: When the platform made the list.
        seen: The keys of the same list's other documents; those of this one are added.

    Raises:
        NotJsonError: It is not JSON.
    """
    items = _read(document, seen.options) if seen else None
    if items is None:
        # Unknown keys are usually in every item or in none, so that this fails at the first one.
        items = _read(document, _KNOWN_ONLY)
        if items is not None and seen:
            seen.add(items)
    if items is not None:
        return Parsed(indicators(items, None, exported_at), [], len(items))
    content = document[_START : -len(SUFFIX)]
    try:
        raws = _ITEMS.decode(b"[%b]" % content)
        items = _read(document, _KNOWN)
        if items is not None:
            return Parsed(indicators(items, [leftover(raw) for raw in raws], exported_at), [], len(items))
    except NOT_JSON:
        pass  # the block is damaged, or cut in the wrong place, or an item has something that cannot be kept
    return _patiently(content, exported_at)


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
    except NotJsonError as error:
        raise DamagedDocumentError(f"the list of indicators is damaged: {error}", offset=error.position) from None
    if parsed.rejects:
        bad = parsed.rejects[0]
        raise DamagedDocumentError(
            f"item {bad.place + 1} of {parsed.count} in the list of indicators is none: {bad.error.reason}",
            offset=document.find(bad.raw.encode()) - _START,
        )
    return parsed.batch


def _read(document: bytes, options: pa.json.ParseOptions) -> pa.StructArray | None:
    """The items as the parser takes them; None when it does not take all of them as they are."""
    buffer = pa.py_buffer(document)
    try:
        # The parser lets bytes pass that are not UTF-8, this cast does not.
        pa.Array.from_buffers(pa.binary(), 1, [None, offsets(len(document)), buffer]).cast(pa.string())
        table = pa.json.read_json(
            pa.BufferReader(buffer),
            read_options=pa.json.ReadOptions(use_threads=False, block_size=len(document) + 1),
            parse_options=options,
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    if table.num_rows != 1:
        return None
    items = filled(table.column(0).chunk(0).flatten())
    return items if is_plain(items) else None


def _patiently(content: bytes, exported_at: datetime | None) -> Parsed:
    """Item by item, each mended or rejected."""
    mended: list[dict[str, Any]] = []
    extra: list[str | None] = []
    rejects: list[Reject] = []
    for place, (position, raw) in enumerate(split(content)):
        try:
            item = mend(raw)
        except UnusableError as error:
            rejects.append(Reject(place, raw.decode(errors="replace").strip(), error))
        except NotJsonError as error:
            raise NotJsonError(position + error.position) from None
        else:
            mended.append(item.item)
            extra.append(leftover(raw, item.misfits))
    items = _read(b"".join((PREFIX, msgspec.json.encode(mended)[1:-1], SUFFIX)), _KNOWN_ONLY)
    assert items is not None
    return Parsed(indicators(items, extra, exported_at), rejects, len(mended) + len(rejects))
