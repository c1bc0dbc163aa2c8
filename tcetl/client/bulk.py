"""Bulk indicator reports: one file per Source or Community, made by the platform once a day or on demand.

What may be wrong with a report is found before or while it is read: not enabled, never made, failed, still being made,
too old, broken off, or replaced by the next one while we were reading.
"""

import logging
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

import msgspec
import pyarrow as pa
import pyarrow.csv

from tcetl.client.answers import data_of, server_time, unexpected
from tcetl.client.download import Download
from tcetl.client.owners import naming_owner
from tcetl.client.report import ReportReader
from tcetl.client.session import Session
from tcetl.errors import ApiError, BulkReportError, ConnectionFailedError, DamagedDocumentError, OwnerNotFoundError

logger = logging.getLogger(__name__)

CSV: Final = pa.schema(
    [
        pa.field("type", pa.string(), nullable=False),
        pa.field("value", pa.string(), nullable=False),
        pa.field("rating", pa.float64()),
        pa.field("confidence", pa.int32()),
    ]
)
"""The CSV report: one row per indicator value; rating is 0-5, confidence 0-100."""

MAKING_TIMEOUT: Final = 3600.0
"""Seconds that the platform gets to make a report on demand."""

POLL: Final = (0.5, 15.0)
"""Shortest and longest pause, in seconds, between two looks at a report that is being made."""

_PATH: Final = "/v2/indicators/bulk"
_HEADER: Final = ["Type", "Value", "Rating", "Confidence"]
_DONE: Final = frozenset({"complete", "completed", "success"})
_FAILED: Final = frozenset({"failure", "failed", "error"})


@dataclass(frozen=True)
class BulkStatus:
    """What the platform says of an owner's reports. Times are UTC, None when it says nothing.

    ``last_run`` is when the present report was made; ``status`` how that went (``Complete``, ``Failure``, …).
    """

    name: str
    csv_enabled: bool
    json_enabled: bool
    next_run: datetime | None
    last_run: datetime | None
    status: str

    @property
    def failed(self) -> bool:
        """True when the last run went wrong."""
        return self.status.lower() in _FAILED

    @property
    def running(self) -> bool:
        """True while the report is being made."""
        return bool(self.status) and self.status.lower() not in _DONE | _FAILED

    def enabled(self, format: str) -> bool:  # noqa: A002 - the word users know
        """True when the report in *format* (``json`` or ``csv``) is switched on for the owner."""
        return self.json_enabled if format == "json" else self.csv_enabled


class _Document(msgspec.Struct, rename="camel"):
    name: str = ""
    csv_enabled: bool = False
    json_enabled: bool = False
    next_run: str | None = None
    last_run: str | None = None
    status: str | None = None


class _Wrapped(msgspec.Struct, rename="camel"):
    bulk_status: _Document


class BulkDownload(Iterator[pa.RecordBatch]):
    """A JSON report on its way: iterate for INDICATORS record batches, once; a context manager that closes it.

    The last step of the iteration makes sure that the platform has not replaced the report meanwhile; so whoever
    iterates to the end without an error has one whole report.
    """

    def __init__(
        self,
        stream: Download,
        status: BulkStatus,
        verify: Callable[[], None],
        on_progress: Callable[[int, int | None], None] | None = None,
    ) -> None:
        self.status = status
        self._stream = stream
        self._verify = verify
        self._reader = ReportReader(
            stream,
            expected_bytes=stream.expected_bytes,
            exported_at=status.last_run,
            on_progress=None if on_progress is None else lambda done, _: on_progress(done, stream.expected_bytes),
        )
        self._batches = self._read()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> pa.RecordBatch:
        return next(self._batches)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def rows(self) -> int:
        """Indicators read so far."""
        return self._reader.rows

    @property
    def bytes(self) -> int:
        """Bytes of the (decompressed) report read so far."""
        return self._reader.bytes

    @property
    def rejects(self) -> pa.Table:
        """Records of the report that are no indicators (REJECTS)."""
        return self._reader.rejects

    def close(self) -> None:
        """Give the connection up."""
        self._batches.close()
        self._stream.close()

    def _read(self) -> Generator[pa.RecordBatch, None, None]:
        yield from self._reader
        self._verify()


class BulkReports:
    """The bulk report endpoints of one connection."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def status(self, owner: str) -> BulkStatus:
        """What the platform says of *owner*'s reports.

        Raises:
            OwnerNotFoundError: The owner does not exist or is not visible.
            BulkReportError: The owner has no bulk reports, as an Organization.
        """
        return self._look(owner)[0]

    def json(
        self,
        owner: str,
        *,
        run_now: bool = False,
        max_age: timedelta | None = None,
        on_progress: Callable[[int, int | None], None] | None = None,
    ) -> BulkDownload:
        """Start downloading *owner*'s JSON report.

        Args:
            owner: A Source or Community.
            run_now: Have a fresh report made first, and wait for it.
            max_age: Refuse a report older than this, by the platform's clock.
            on_progress: Told of bytes read, and of bytes in all where the platform announces them.

        Raises:
            OwnerNotFoundError: The owner does not exist or is not visible.
            BulkReportError: The report is not enabled, failed, still being made, or older than *max_age*. Iterating may
                raise it as well: for a report that was replaced meanwhile, or as :class:`DamagedDocumentError`.
        """
        stream, status = self._open(owner, "json", run_now=run_now, max_age=max_age)
        return BulkDownload(stream, status, lambda: self._verify(owner, "json", status), on_progress)

    def csv(self, owner: str, *, run_now: bool = False, max_age: timedelta | None = None) -> Iterator[pa.RecordBatch]:
        """Download *owner*'s CSV report as record batches of schema :data:`CSV`.

        Args:
            owner: A Source or Community.
            run_now: Have a fresh report made first, and wait for it.
            max_age: Refuse a report older than this, by the platform's clock.

        Raises:
            OwnerNotFoundError: The owner does not exist or is not visible.
            BulkReportError: As for :meth:`json`, also while iterating.
        """
        stream, status = self._open(owner, "csv", run_now=run_now, max_age=max_age)
        return self._rows(stream, owner, status)

    def _rows(self, stream: Download, owner: str, status: BulkStatus) -> Iterator[pa.RecordBatch]:
        convert = pa.csv.ConvertOptions(
            column_types=dict(zip(_HEADER, CSV.types, strict=True)), null_values=["null", ""], strings_can_be_null=False
        )
        with stream:
            try:
                reader = pa.csv.open_csv(
                    stream, parse_options=pa.csv.ParseOptions(newlines_in_values=True), convert_options=convert
                )
                if reader.schema.names != _HEADER:
                    raise _damaged(owner, stream, f"its header is {','.join(reader.schema.names)[:200]!r}")
                for batch in reader:
                    yield pa.RecordBatch.from_arrays(batch.columns, schema=CSV)
            except pa.ArrowInvalid as error:
                raise _damaged(owner, stream, str(error).partition("\n")[0]) from None
        self._verify(owner, "csv", status)

    def _open(
        self,
        owner: str,
        format: str,  # noqa: A002
        *,
        run_now: bool,
        max_age: timedelta | None,
    ) -> tuple[Download, BulkStatus]:
        status, now = self._look(owner)
        if not status.enabled(format):
            raise BulkReportError(
                f"the {format.upper()} bulk report of {owner!r} is not enabled",
                hint="an administrator enables it for the owner; a filtered retrieve works without",
            )
        if run_now:
            status, now = self._make(owner, format, status, now)
        _check(owner, status, now, max_age)
        response = self._get(f"{_PATH}/{format}", owner, stream=True)
        return Download(response, f"the {format.upper()} bulk report of {owner!r}"), status

    def _make(self, owner: str, format: str, before: BulkStatus, now: datetime) -> tuple[BulkStatus, datetime]:  # noqa: A002
        """Have a new report made, and return its status once it is there."""
        if before.last_run is not None and now - before.last_run < timedelta(seconds=1):
            time.sleep(1)  # times are whole seconds: the next report must be told from this one
        try:
            # Some instances answer with the new report, others at once; the status is what tells that it is done.
            self._get(f"{_PATH}/{format}", owner, stream=True, runNow=True).close()
        except (ApiError, ConnectionFailedError) as error:
            status, _ = self._look(owner)
            if status.failed and status != before:
                raise _failed(owner, status) from None
            if not _may_be_at_it(error):
                raise
            logger.info("waiting for the report by its status: %s", error)
        pause, longest = POLL
        deadline = time.monotonic() + MAKING_TIMEOUT
        while True:
            status, now = self._look(owner)
            news = (status.last_run, status.status) != (before.last_run, before.status)
            if news and status.failed:
                raise _failed(owner, status)
            if status.last_run != before.last_run and not status.running:
                return status, now
            if time.monotonic() >= deadline:
                raise BulkReportError(
                    f"the bulk report of {owner!r} was not ready {MAKING_TIMEOUT:g} s after it was asked for "
                    f"(status {status.status!r})",
                    hint="run again without run_now (--run-now) once it is made",
                )
            time.sleep(pause)
            pause = min(pause * 1.5, longest)

    def _verify(self, owner: str, format: str, read: BulkStatus) -> None:  # noqa: A002
        status, _ = self._look(owner)
        if status.last_run != read.last_run:
            raise BulkReportError(
                f"the {format.upper()} bulk report of {owner!r} changed while it was read: begun with that of "
                f"{read.last_run}, now there is that of {status.last_run}",
                hint="run again",
            )

    def _look(self, owner: str) -> tuple[BulkStatus, datetime]:
        """The status, and when the platform gave it by its own clock."""
        response = self._get(_PATH, owner)
        document = data_of(response, dict[str, Any])
        try:
            found = msgspec.convert({"bulkStatus": document.get("bulkStatus", document)}, _Wrapped, strict=False)
            fields = found.bulk_status
            status = BulkStatus(
                name=fields.name or owner,
                csv_enabled=fields.csv_enabled,
                json_enabled=fields.json_enabled,
                next_run=_time(fields.next_run),
                last_run=_time(fields.last_run),
                status=fields.status or "",
            )
        except (msgspec.ValidationError, ValueError) as error:
            raise unexpected(response, str(error)) from None
        return status, server_time(response)

    def _get(self, path: str, owner: str, *, stream: bool = False, **params: Any) -> Any:
        with naming_owner(self._session, owner):
            try:
                return self._session.request(
                    "GET", path, params={"owner": owner, **params}, stream=stream, safe_to_repeat=not params
                )
            except OwnerNotFoundError:
                raise
            except ApiError as error:
                if error.status not in {400, 404}:
                    raise
                raise BulkReportError(
                    f"no bulk report for {owner!r}: {error.message}", hint="only Sources and Communities have them"
                ) from None


def _check(owner: str, status: BulkStatus, now: datetime, max_age: timedelta | None) -> None:
    if status.failed:
        raise _failed(owner, status)
    if status.running:
        raise BulkReportError(
            f"the bulk report of {owner!r} is still being made (status {status.status!r})", hint="try again later"
        )
    if status.last_run is None:
        raise BulkReportError(
            f"the bulk report of {owner!r} was never made; the next run is {status.next_run or 'not planned'}",
            hint="ask for one with run_now (--run-now)",
        )
    age = now - status.last_run
    if max_age is not None and age > max_age:
        raise BulkReportError(
            f"the bulk report of {owner!r} is stale: made {status.last_run}, {_coarse(age)} ago; allowed are {max_age}",
            hint="ask for a fresh one with run_now (--run-now), or allow more",
        )


def _may_be_at_it(error: ApiError | ConnectionFailedError) -> bool:
    """True when the request to make a report was lost on the way back: making it can outlast any timeout."""
    return error.status == 504 if isinstance(error, ApiError) else error.outcome_unknown


def _failed(owner: str, status: BulkStatus) -> BulkReportError:
    return BulkReportError(
        f"the last run of the bulk report of {owner!r} ({status.last_run}) ended as {status.status!r}",
        hint="ask for a fresh one with run_now (--run-now); an administrator sees why in the platform's log",
    )


def _damaged(owner: str, stream: Download, what: str) -> DamagedDocumentError:
    return DamagedDocumentError(f"the CSV bulk report of {owner!r} is damaged: {what}", offset=stream.offset)


def _coarse(age: timedelta) -> timedelta:
    return timedelta(seconds=round(age.total_seconds()))


def _time(text: str | None) -> datetime | None:
    """A time of the API as UTC; those without a zone are UTC already."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
