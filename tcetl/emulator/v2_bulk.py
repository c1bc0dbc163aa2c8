"""v2 bulk report routes (api §4)."""

from pathlib import Path
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tcetl.emulator import context
from tcetl.emulator.answers import RefusalError, bare, not_found
from tcetl.emulator.bulk import ReportFailedError
from tcetl.emulator.filters import flag

_CHUNK: Final = 1 << 20
_CONTENT_TYPES: Final = {"json": "application/json", "csv": "text/csv"}


class _FileBody(Response):
    """Streams a file with its length announced, in chunks large enough to cost next to nothing."""

    def __init__(self, path: Path, content_type: str) -> None:
        self._file = path.open("rb", buffering=0)
        length = path.stat().st_size
        super().__init__(None, 200, {"content-type": content_type})
        self.headers["content-length"] = str(length)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        with self._file:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            # Reading from the page cache takes a tenth of a millisecond: not worth a thread.
            while chunk := self._file.read(_CHUNK):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def status(request: Request) -> Response:
    """The state of the owner's reports, in the documented bare form (api §9 G-6)."""
    owner = context.owner(request)
    return bare({"bulkStatus": context.instance(request).reports.status(owner)})


def _path(request: Request, format_: str) -> Path:
    owner = context.owner(request)
    reports = context.instance(request).reports
    if not reports.enabled(owner, format_):
        # Body undocumented (api §4, §9.2): assumed.
        raise RefusalError(400, f"The bulk {format_.upper()} report is not enabled for {owner.name}")
    if flag(request.query_params.get("runNow", "")):
        try:
            reports.generate(owner)
        except ReportFailedError as error:
            raise RefusalError(500, "An unknown error occurred") from error
    path = reports.path(owner, format_)
    if not path.exists():
        raise not_found()  # assumed: nothing has been generated yet
    return path


async def report(request: Request) -> Response:
    """The report itself. With ``runNow`` the answer begins when the new one is complete (api §4, assumed)."""
    format_ = request.scope["path"].rpartition("/")[2]
    path = await run_in_threadpool(_path, request, format_)
    return _FileBody(path, _CONTENT_TYPES[format_])


ROUTES = [
    Route("/v2/indicators/bulk", status),
    Route("/v2/indicators/bulk/json", report),
    Route("/v2/indicators/bulk/csv", report),
]
