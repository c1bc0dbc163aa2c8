"""What a batch job has to say about its items: codes, severities and the two ways to fail (api §5.6, §5.7)."""

from dataclasses import dataclass
from typing import Final

GENERAL: Final = "0x1001"
PERMISSION: Final = "0x1002"
JSON_SYNTAX: Final = "0x1003"
INTERNAL: Final = "0x1004"
INVALID_INDICATOR: Final = "0x1005"
INVALID_GROUP: Final = "0x1006"
NOT_FOUND: Final = "0x1007"
INDICATOR_LIMIT: Final = "0x1008"
ASSOCIATION: Final = "0x1009"
DUPLICATE: Final = "0x100A"
FILE_IO: Final = "0x100B"
INDICATOR_LOSS: Final = "0x2001"
GROUP_LOSS: Final = "0x2002"
HASH_MERGE_LOSS: Final = "0x2003"
HASH_MERGE: Final = "0x3001"

_SEVERITIES: Final = {"1": "Error", "2": "Warning", "3": "Info"}

UNEXPECTED: Final = "Encountered an unexpected Exception while processing batch job."
"""tcex looks for this sentence (api §5.6)."""


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of /errors or /results."""

    code: str
    reason: str
    source: str
    message: str = ""

    @property
    def severity(self) -> str:
        """0x1… are errors, 0x2… warnings, 0x3… information (api §5.7)."""
        return _SEVERITIES[self.code[2]]


class ItemError(Exception):
    """One item is refused; the job goes on unless it halts on errors."""

    def __init__(self, code: str, reason: str, source: str) -> None:
        super().__init__(reason)
        self.entry = Message(code, reason, source, reason)


class JobError(Exception):
    """The job cannot go on: what was not reached stays unprocessed."""

    def __init__(self, entry: Message) -> None:
        super().__init__(entry.reason)
        self.entry = entry


REFUSALS: Final = {
    GENERAL: "{name}: An unknown error occurred",
    PERMISSION: "The requested {name} was not created - access was denied",
    INVALID_INDICATOR: "{name} is not a valid {type}.",
    INVALID_GROUP: "{type} {name} has an invalid status.",
    NOT_FOUND: "{name}: The requested resource was not found",
    ASSOCIATION: "Invalid association, a {type} cannot be associated with a {type}",
    DUPLICATE: "The summary for this {type} is invalid, a/an {type} with this summary already exists",
    FILE_IO: "The file of {name} could not be read.",
}
"""What the platform may say of an item that is refused as a fault: its templates (api §1.4, §5.6), code by code."""

EXCEPTIONS: Final = {
    JSON_SYNTAX: "com.google.gson.JsonSyntaxException: java.lang.IllegalStateException: Not a JSON Object",
    INTERNAL: "java.lang.NullPointerException",
}
"""Those that end the job (api §5.7)."""
