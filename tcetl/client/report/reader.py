"""A bulk report as a stream of INDICATORS record batches."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from tcetl.client.report.cutting import Block, Cutter, NotJsonError, SupportsReadInto
from tcetl.client.report.parsing import Parsed, Reject, parse
from tcetl.client.report.seen import Seen
from tcetl.errors import DamagedDocumentError
from tcetl.schema import REJECTS

THREADS: Final = 2
"""Threads that parse."""

IN_FLIGHT: Final = 5
"""Blocks read ahead of the one that is taken: enough to parse while a row group is being written."""

MOST_REJECTS: Final = 10_000
"""Records that may be unusable before the document is not taken for a report any more."""

RAW_LIMIT: Final = 2_000
"""Characters of such a record that are kept: enough to know it by, and little enough for all of them in memory."""


class ReportReader:
    """Reads a JSON bulk report from a binary stream; iterate for its INDICATORS record batches, once.

    Memory depends on the block size (and on the largest single record), not on the report's length. A report is whole
    when the iteration ends without an error; until then nothing of it should be published.

    Attributes:
        rows: Indicators given out so far.
    """

    def __init__(
        self,
        stream: SupportsReadInto,
        *,
        block_size: int = 6 << 20,
        expected_bytes: int | None = None,
        exported_at: datetime | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Read from *stream*.

        Args:
            stream: Where the report comes from; not closed.
            block_size: Bytes that are parsed at a time.
            expected_bytes: Length that the report must have, where it is known.
            exported_at: When the platform made the report; becomes the column of that name.
            on_progress: Told of bytes read and indicators given out, after each batch.
        """
        self.rows = 0
        self._cutter = Cutter(stream.readinto, block_size=block_size, expected_bytes=expected_bytes)
        self._exported_at = exported_at
        self._seen = Seen()
        self._on_progress = on_progress
        self._items = 0
        self._rejects: list[dict[str, Any]] = []

    @property
    def bytes(self) -> int:
        """Bytes of the report read so far."""
        return self._cutter.bytes

    @property
    def rejects(self) -> pa.Table:
        """Records so far that are no indicators (REJECTS)."""
        return pa.Table.from_pylist(self._rejects, REJECTS)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches.

        Raises:
            DamagedDocumentError: The report broke off or is not JSON, from the byte that the error names.
        """
        with ThreadPoolExecutor(THREADS, "tcetl-report") as pool:
            try:
                for parsed in self._parsed(pool):
                    self._account(parsed)
                    if parsed.batch.num_rows:
                        yield parsed.batch
                    if self._on_progress:
                        self._on_progress(self.bytes, self.rows)
            finally:
                pool.shutdown(cancel_futures=True)

    def _parsed(self, pool: ThreadPoolExecutor) -> Iterator[Parsed]:
        """Parse ahead, in order."""
        ahead: deque[tuple[Block, Future[Parsed]]] = deque()
        failure: DamagedDocumentError | None = None
        ended = False
        while True:
            while not (ended or failure) and len(ahead) < IN_FLIGHT:
                try:
                    block = self._cutter.next_block()
                except DamagedDocumentError as error:
                    failure = error  # unless a wrong guess is behind it, which shows in the blocks before
                    break
                if block is None:
                    ended = True
                else:
                    ahead.append((block, pool.submit(parse, block.document, self._exported_at, self._seen)))
            if not ahead:
                break
            block, future = ahead.popleft()
            try:
                parsed = future.result()
            except NotJsonError as error:
                if block.certain:
                    raise _damaged(block.offset + error.position) from None
                self._cutter.give_back([block, *(later for later, _ in ahead)])
                ahead.clear()
                ended, failure = False, None
                continue
            yield parsed
        if failure:
            raise failure

    def _account(self, parsed: Parsed) -> None:
        self._rejects += [_row(reject, self._items + reject.place, self._cutter.pointer) for reject in parsed.rejects]
        self._items += parsed.count
        self.rows += parsed.batch.num_rows
        if len(self._rejects) > MOST_REJECTS:
            raise DamagedDocumentError(
                f"{len(self._rejects):,} of the first {self._items:,} records in the report are no indicators; "
                f"the last: {self._rejects[-1]['reason']}",
                offset=self.bytes,
                hint="is this a bulk report?",
            )


def _row(reject: Reject, index: int, pointer: str) -> dict[str, Any]:
    return {
        "stage": "read",
        "row": index + 1,
        "pointer": f"{pointer}/{index}",
        "raw": reject.raw[:RAW_LIMIT],
        "field": reject.error.field,
        "code": reject.error.code,
        "reason": reject.error.reason,
        "severity": "error",
    }


def _damaged(offset: int) -> DamagedDocumentError:
    return DamagedDocumentError(
        f"the bulk report is damaged at byte {offset:,}: it is not JSON",
        offset=offset,
        hint="run again; nothing of it was published",
    )
