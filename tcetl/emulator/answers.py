"""Answers in the platform's own envelopes, v2 and v3 (api §1.4, §1.5)."""

from typing import Any

import msgspec
from starlette.responses import Response

ACCESS_DENIED = "Access Denied"
NOT_FOUND = "The requested resource was not found"
OWNER_NOT_FOUND = "The requested owner was not found"
MALFORMED = "The request was not properly formed"

NOT_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not the JSON they should be: bad UTF-8 and deep nesting have Python's own."""


class RefusalError(Exception):
    """The request is refused with *status* and *message*; the envelope depends on the API version asked."""

    def __init__(self, status: int, message: str, code: str = "0x1001") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


def not_found() -> RefusalError:
    """404 with the sentence that clients look for (api §1.4)."""
    return RefusalError(404, NOT_FOUND)


def plain(content: bytes, status: int = 200, content_type: str = "application/json") -> Response:
    """Answer *content* with exactly this content type: no charset may follow (api §1.5)."""
    return Response(content, status, headers={"content-type": content_type})


def bare(document: Any, status: int = 200) -> Response:
    """Answer *document* as JSON without an envelope."""
    return plain(msgspec.json.encode(document), status)


def success(data: Any, status: int = 200) -> Response:
    """Answer *data* in the v2 success envelope."""
    return bare({"status": "Success", "data": data}, status)


def success_v3(data: Any, status: int = 200, **beside: Any) -> Response:
    """Answer *data* in the v3 success envelope, with *beside* (count, next, message…) next to it (api §6.2)."""
    return bare({"data": data, "status": "Success", **beside}, status)


def refusal(error: RefusalError, path: str) -> Response:
    """Answer *error* in the envelope of the API version that *path* belongs to (api §9 G-1)."""
    if path.startswith("/v3"):
        return bare({"errCode": error.code, "message": error.message, "status": "Error"}, error.status)
    return bare({"status": "Failure", "message": error.message}, error.status)


def text(message: str, status: int) -> Response:
    """Answer plain text, as a few routes do on failure (api §5.2)."""
    return plain(message.encode(), status, "text/plain")
