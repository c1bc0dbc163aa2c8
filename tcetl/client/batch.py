"""Batch jobs: create, upload, status, errors and results, with V1 and V2 input.

A job lives as Created → Queued → Running → Completed, and is Completed also when all its records failed: what counts is
its counts.
"""

import gzip
import zlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from tcetl.client.answers import data_of, decode, unexpected
from tcetl.client.owners import naming_owner
from tcetl.errors import ConfigError, NotFoundError

if TYPE_CHECKING:
    import requests

    from tcetl.client.session import Body, Session

MAX_INDICATORS: Final = 25_000
"""Most indicators in one job."""

SETTLING_SECONDS: Final = 2.0
"""Time the platform gets to notice an upload whose answer was lost, before we ask whether it arrived."""

_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "action": ("Create", "Delete"),
    "attribute_write_type": ("Append", "Replace", "Singleton", "Static"),
    "tag_write_type": ("Append", "Replace"),
    "security_label_write_type": ("Append", "Replace"),
    "file_merge_mode": ("Distribute", "Merge"),
    "hash_collision_mode": ("FavorExisting", "FavorIncoming", "IgnoreExisting", "IgnoreIncoming", "Split"),
    "version": ("V1", "V2"),
}
_GZIP_MAGIC: Final = b"\x1f\x8b"


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """How a batch job is to treat its records (REST docs, batch API); None leaves the choice to the platform.

    Attributes:
        owner: Owner that the records are for.
        action: ``Create`` (or update) or ``Delete``.
        halt_on_error: Stop at the first bad record; the rest counts as unprocessed.
        attribute_write_type: ``Append``, ``Replace``, ``Singleton`` or ``Static``.
        tag_write_type: ``Append`` or ``Replace``.
        security_label_write_type: ``Append`` or ``Replace``.
        file_merge_mode: ``Distribute`` or ``Merge``: a File whose hashes match several existing ones.
        hash_collision_mode: ``FavorExisting``, ``FavorIncoming``, ``IgnoreExisting``, ``IgnoreIncoming`` or ``Split``.
        playbook_triggers_enabled: Let the records trigger playbooks.
        version: ``V1`` (an array of indicators) or ``V2`` (an object with indicators, groups and associations).

    Raises:
        ConfigError: A value that the API does not know.
    """

    owner: str
    action: str = "Create"
    halt_on_error: bool = False
    attribute_write_type: str = "Replace"
    tag_write_type: str = "Replace"
    security_label_write_type: str = "Replace"
    file_merge_mode: str | None = None
    hash_collision_mode: str | None = None
    playbook_triggers_enabled: bool = False
    version: str = "V2"

    def __post_init__(self) -> None:
        if not self.owner:
            raise ConfigError("a batch job needs the name of an owner")
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value is not None and value not in choices:
                raise ConfigError(f"{name} cannot be {value!r}", hint=f"one of {', '.join(choices)}")
        for name in ("halt_on_error", "playbook_triggers_enabled"):
            if not isinstance(value := getattr(self, name), bool):
                raise ConfigError(f"{name} cannot be {value!r}", hint="True or False")

    def to_json(self) -> dict[str, Any]:
        """The settings as the API's job body: camel-case keys, no nulls."""
        return {_camel(name): value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """The inverse of :meth:`to_json`."""
        known = {_camel(name): name for name in cls.__dataclass_fields__}
        try:
            return cls(**{known[key]: value for key, value in document.items()})
        except (KeyError, TypeError) as error:
            raise ConfigError(f"these are not batch settings: {error}") from None


class BatchStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job got, and its counts. Counts that the platform does not send are 0.

    ``id`` is None for a small job that the platform did at once, within ``create_and_upload``.
    """

    id: int | None = None
    status: str
    succeeded: int = msgspec.field(name="successCount", default=0)
    failed: int = msgspec.field(name="errorCount", default=0)
    unprocessed: int = msgspec.field(name="unprocessCount", default=0)
    succeeded_indicators: int = msgspec.field(name="successIndicatorCount", default=0)
    failed_indicators: int = msgspec.field(name="errorIndicatorCount", default=0)
    succeeded_groups: int = msgspec.field(name="successGroupCount", default=0)
    failed_groups: int = msgspec.field(name="errorGroupCount", default=0)
    succeeded_associations: int = msgspec.field(name="successAssociationCount", default=0)
    failed_associations: int = msgspec.field(name="errorAssociationCount", default=0)

    @property
    def finished(self) -> bool:
        """True when the platform will do no more, however it went."""
        return self.status == "Completed"


@dataclass(frozen=True)
class BatchError:
    """One complaint of a job. ``code`` (``0x1005``) and ``severity`` come with results and newer instances only."""

    code: str | None
    severity: str | None
    reason: str
    message: str | None
    source: str | None


class _Created(msgspec.Struct, rename="camel"):
    batch_id: int


class _Item(msgspec.Struct, rename="camel"):
    error_reason: str | None = None
    error_message: str | None = None
    error_source: Any = None
    code: str | None = None
    severity: str | None = None


class BatchJobs:
    """The batch endpoints of one connection."""

    def __init__(self, session: "Session") -> None:
        self._session = session

    def create(self, settings: BatchSettings) -> int:
        """Create a job, to be followed by :meth:`upload`, and return its id.

        Repeated on failures: a job that is never uploaded to does nothing.

        Raises:
            OwnerNotFoundError: The owner does not exist or is not visible.
            AuthenticationError: The credentials are wrong, or may not create indicators.
        """
        with naming_owner(self._session, settings.owner):
            response = self._session.request("POST", "/v2/batch", json=settings.to_json(), safe_to_repeat=True)
        return data_of(response, _Created).batch_id

    def upload(self, batch_id: int, content: "Body") -> BatchStatus:
        """Give a created job its records.

        Repeated only when the platform certainly did not take them. When the answer is lost, ask :meth:`status`: a job
        that has its records is no longer ``Created``.

        Args:
            batch_id: What :meth:`create` returned.
            content: UTF-8 JSON, or the file that holds it.

        Raises:
            ApiError: The platform refused the file: too large, no such job, already uploaded to.
            ConnectionFailedError: No answer; ``outcome_unknown`` says whether the records may have arrived. So may an
                :class:`ApiError` of 500 and above, which a gateway can give for a request that it passed on.
        """
        return _status(
            self._session.request("POST", f"/v2/batch/{batch_id}", data=content, safe_to_repeat=False), batch_id
        )

    def status(self, batch_id: int) -> BatchStatus:
        """How far the job got, with its counts by kind of record.

        Raises:
            NotFoundError: There is no such job.
        """
        return _status(
            self._session.request("GET", f"/v2/batch/{batch_id}", params={"includeAdditional": True}), batch_id
        )

    def errors(self, batch_id: int) -> list[BatchError]:
        """What the platform complained about in a finished job; empty when nothing.

        Raises:
            ApiError: Status 400: the job is still running.
        """
        return self._complaints(f"/v2/batch/{batch_id}/errors")

    def results(
        self, batch_id: int, *, code: str | None = None, contains: str | None = None, severity: str | None = None
    ) -> list[BatchError]:
        """The coded messages of a finished job, warnings and notes included.

        Args:
            batch_id: The job.
            code: Only this code, such as ``0x1005``.
            contains: Only messages with this text.
            severity: Only this severity: ``error``, ``warning`` or ``info``.
        """
        return self._complaints(
            f"/v2/batch/{batch_id}/results", {"code": code, "contains": contains, "severity": severity}
        )

    def create_and_upload(self, settings: BatchSettings, content: "Body") -> BatchStatus:
        """Create a job and give it its records in one request, held in memory.

        Small jobs are done at once and get no id. Never repeated when the answer is lost: without an id there is no
        asking what became of it. Loads of weight use :meth:`create` and :meth:`upload`.
        """
        records = content if isinstance(content, bytes) else content.read_bytes()
        parts = {
            "config": ("config", msgspec.json.encode(settings.to_json()), "application/json"),
            "content": ("content", records, "application/octet-stream"),
        }
        from urllib3.filepost import encode_multipart_formdata  # noqa: PLC0415 - who only plans needs no HTTP

        body, content_type = encode_multipart_formdata(parts)
        with naming_owner(self._session, settings.owner):
            response = self._session.request(
                "POST",
                "/v2/batch/createAndUpload",
                params={"includeAdditional": True},
                data=body,
                content_type=content_type,
                safe_to_repeat=False,
            )
        return _status(response)

    def _complaints(self, path: str, params: dict[str, str | None] | None = None) -> list[BatchError]:
        try:
            response = self._session.request("GET", path, params=params)
        except NotFoundError:
            return []
        content = response.content
        if content.startswith(_GZIP_MAGIC):  # compressed without saying so in Content-Encoding
            try:
                content = gzip.decompress(content)
            except (OSError, EOFError, zlib.error) as error:
                raise unexpected(response, f"its compressed data is damaged: {error}") from None
        return [_complaint(item) for item in decode(response, list[_Item], content)]


def _status(response: "requests.Response", batch_id: int | None = None) -> BatchStatus:
    """The status in *response*: wrapped as clients see it, or bare as the documentation shows it."""
    document = data_of(response, dict[str, Any])
    fields = document.get("batchStatus", document)
    if isinstance(fields, dict) and batch_id is not None:
        fields = {"id": batch_id} | fields
    try:
        return msgspec.convert(fields, BatchStatus, strict=False)
    except msgspec.ValidationError as error:
        raise unexpected(response, str(error)) from None


def _complaint(item: _Item) -> BatchError:
    source = item.error_source
    if source is not None and not isinstance(source, str):  # V1 jobs may send the whole indicator
        source = msgspec.json.encode(source).decode()
    return BatchError(item.code, item.severity, item.error_reason or "", item.error_message, source)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
