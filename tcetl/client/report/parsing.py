"""From a block of items to one INDICATORS record batch, and the items that are none."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.json

from tcetl.client.report.constants import offsets
from tcetl.client.report.cutting import PREFIX, SUFFIX, NotJsonError, split
from tcetl.client.report.leftovers import leftover, leftovers, objects
from tcetl.client.report.mending import UnusableError, mend
from tcetl.client.report.seen import ALL, Keys, Path, Seen, filled, paths_of
from tcetl.client.report.wire import REQUIRED_INSIDE, indicators, is_plain
from tcetl.errors import NOT_JSON, DamagedDocumentError

_START: Final = len(PREFIX)
_ALL: Final = Keys.of(ALL)
_ANYWHERE: Final = frozenset((key, "") for key in REQUIRED_INSIDE)
"""Some key of each list's elements: for where unknown keys stand when that was not found out."""


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
    keys = seen.keys if seen else _ALL
    # Other keys are usually in every item or in none, so that this fails at the first one.
    items = _plain(_read(document, keys.options("error")))
    if items is not None:
        return Parsed(indicators(items, None, exported_at), [], len(items))
    content = document[_START : -len(SUFFIX)]
    try:
        records = objects(b"[%b]" % content)  # and thereby nested no deeper than the parser can bear to infer
        items, unknown = _look_again(document, keys, seen)
        if items is not None:
            extra = leftovers(records, unknown) if unknown else None
            return Parsed(indicators(items, extra, exported_at), [], len(items))
    except NOT_JSON:
        pass  # the block is damaged, or cut in the wrong place, or an item has something that cannot be kept
    return _patiently(content, exported_at)


def _look_again(document: bytes, keys: Keys, seen: Seen | None) -> tuple[pa.StructArray | None, Set[Path]]:
    """The items if they are plain but for having other keys than *keys*, and those of their keys that are not known."""
    items = _read(document, keys.options("infer"))
    if items is None:  # perhaps for an unknown key with values of several types
        return _plain(_read(document, _ALL.options("ignore"))), _ANYWHERE
    paths = frozenset(paths_of(items.type))
    if not paths & ALL <= keys.paths:
        if seen:
            seen.add(paths)
        items = _read(document, Keys.of(keys.paths | paths).options("infer"))
    return _plain(items), paths - ALL


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
    """The items as the parser takes them; None when it does not take all of them."""
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
    return table.column(0).chunk(0).flatten() if table.num_rows == 1 else None


def _plain(items: pa.StructArray | None) -> pa.StructArray | None:
    """*items* with all keys that are known; None when they are not plain."""
    if items is None:
        return None
    items = filled(items)
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
    items = _plain(_read(b"".join((PREFIX, msgspec.json.encode(mended)[1:-1], SUFFIX)), _ALL.options("error")))
    assert items is not None
    return Parsed(indicators(items, extra, exported_at), rejects, len(mended) + len(rejects))
