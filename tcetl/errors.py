"""Everything tcetl raises on purpose: one family, each message naming the thing and the mend.

Messages never hold credentials: the client puts paths, statuses and the platform's own text into them, nothing
from the request headers.
"""

import errno
from typing import Final

import msgspec

NOT_JSON: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes from outside that are not the JSON they should be.

Text that is not UTF-8, and nesting too deep, come as Python's own errors.
"""


_MENDS: Final = {
    errno.ENOSPC: "the disk is full: free space or write elsewhere, then run again",
    errno.EDQUOT: "the disk quota is used up: free space or write elsewhere, then run again",
    errno.EFBIG: "the file is larger than this user or file system allows: raise the limit or write elsewhere",
    errno.EACCES: "give this user write permission there or write elsewhere",
    errno.EPERM: "give this user write permission there or write elsewhere",
    errno.EROFS: "the file system is read-only: write elsewhere",
}


def mend_of(error: OSError) -> str:
    """What to do about *error*, of a file that cannot be written; empty where that is not known."""
    return _MENDS.get(error.errno or 0, "")


class TcetlError(Exception):
    """Base of every error tcetl raises on purpose; ``hint`` says what to do next."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigError(TcetlError):
    """A connection setting is missing or makes no sense."""


class ApiError(TcetlError):
    """The platform answered with a failure; ``status`` is the HTTP code, ``message`` has the platform's words.

    ``retry_after`` is how many seconds the platform asked to wait, when it did.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        method: str = "",
        path: str = "",
        retry_after: float | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.method = method
        self.path = path
        self.retry_after = retry_after


class AuthenticationError(ApiError):
    """401: unknown access id, wrong secret key, expired token or a clock too far off."""


class OwnerNotFoundError(ApiError):
    """The owner does not exist, or this API user cannot see it (403)."""


class NotFoundError(ApiError):
    """404: the requested resource was not found."""


class ConnectionFailedError(TcetlError):
    """No usable answer came after all retries: refused, reset, timed out, or TLS not trusted.

    ``outcome_unknown`` is True when the request may have reached the platform, so that a write may have been done.
    """

    def __init__(self, message: str, *, outcome_unknown: bool = False, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.outcome_unknown = outcome_unknown


class TlsError(ConnectionFailedError):
    """The server's certificate is not trusted; trying again cannot help."""


class ChangedWhileReadError(TcetlError):
    """What was read page by page changed between two pages; what was read is not one state of the platform."""


class BulkReportError(TcetlError):
    """A bulk report is disabled, missing, stale, still being made, or changed while it was read."""


class DamagedDocumentError(BulkReportError):
    """A document ended early or is not what it should be; ``offset`` is the byte where reading stopped."""

    def __init__(self, message: str, *, offset: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.offset = offset


class FeedError(TcetlError):
    """A feed cannot be used: empty, an HTML page, no usable column, unreadable."""


class EmptyFeedError(FeedError):
    """A feed is what it should be, but holds no rows."""


class NothingNewError(FeedError):
    """The provider says that a feed is as it was when it was last loaded: there is nothing to do."""


class TransformError(TcetlError):
    """A user's transform cannot be found, failed, or returned what breaks a rule; the message names batch and row."""


class LoadError(TcetlError):
    """A load cannot be planned or went wrong as a whole: no chunk is owed silently."""


class RejectedRecordsError(LoadError):
    """The platform refused more records than the threshold allows; they are in the dead-letter file of ``run_dir``."""

    def __init__(self, message: str, *, run_dir: str | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.run_dir = run_dir


class ReconciliationError(LoadError):
    """The counts of a job or a run do not add up; nothing may be called loaded."""


class PublishError(TcetlError):
    """A dataset or export could not be published; nothing half-written was left where readers look."""


class InvalidValueError(TcetlError):
    """A value is no valid indicator of its type; ``code`` is the slug that rejects are counted by (``bad-url``)."""

    def __init__(self, code: str, reason: str, *, hint: str = "") -> None:
        super().__init__(reason, hint=hint)
        self.code = code
        self.reason = reason
