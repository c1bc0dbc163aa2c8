"""v2 batch routes (api §5)."""

import gzip
from pathlib import Path
from typing import Any, Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from tcetl.emulator import context
from tcetl.emulator.answers import (
    MALFORMED,
    NOT_JSON,
    OWNER_NOT_FOUND,
    RefusalError,
    bare,
    not_found,
    plain,
    success,
    text,
)
from tcetl.emulator.batch_jobs import BatchJobs, JobFault
from tcetl.emulator.batch_settings import JobSettings, read_settings
from tcetl.emulator.filters import flag

_NO_PERMISSION: Final = (
    "Unable to perform the requested operation due to the following error(s): You do not have permission to create "
    "Indicators; Groups; Attributes; Tags; Security Labels;"
)
_SEVERITIES: Final = {"err": "Error", "error": "Error", "info": "Info", "warn": "Warning", "warning": "Warning"}
_SECTIONS: Final = ("indicator", "group", "association")


class _TooLargeError(Exception):
    """The input is larger than the instance allows."""


class _ForbiddenError(Exception):
    """The user may not write in the owner."""


def _jobs(request: Request) -> BatchJobs:
    return context.instance(request).jobs


def _invalid(description: str) -> Response:
    """The odd failure shape of the batch routes (api §5.3, §5.6)."""
    return bare({"status": "Invalid", "description": description}, 400)


def _too_large(request: Request) -> Response:
    limit = context.instance(request).limits.max_upload_bytes
    return _invalid(f"File size greater than allowable limit of {limit}")


def describe(row: dict[str, Any], *, additional: bool, with_id: bool = True) -> dict[str, Any]:
    """A job's row as the status of the API (api §5.5)."""
    status: dict[str, Any] = {"id": row["id"]} if with_id else {}
    status |= {
        "status": row["status"],
        "errorCount": row["other_error"] + sum(row[f"{section}_error"] for section in _SECTIONS),
        "successCount": sum(row[f"{section}_success"] for section in _SECTIONS),
        "unprocessCount": row["unprocessed"],
    }
    if additional:
        for section in _SECTIONS:
            status[f"success{section.title()}Count"] = row[f"{section}_success"]
            status[f"error{section.title()}Count"] = row[f"{section}_error"]
        # tcex fetches errors only if one of these counts says so (api §5.10): an error of the whole file is shown here.
        status["errorIndicatorCount"] += row["other_error"]
    return {"batchStatus": status}


def _job(request: Request) -> dict[str, Any]:
    """The job named in the path, if the user may see it."""
    row = _jobs(request).get(context.number(request, "id"))
    if row is None or row["owner"] not in context.user(request).readable:
        raise not_found()
    return row


def _create(request: Request, document: dict[str, Any]) -> tuple[int, JobSettings]:
    user = context.user(request)
    settings = read_settings(document)
    owner = user.owner(settings.owner)
    if owner is None:
        raise RefusalError(403, OWNER_NOT_FOUND)
    if owner.id not in user.writable:
        raise _ForbiddenError
    return _jobs(request).create(owner.id, settings), settings


async def create(request: Request) -> Response:
    """Create a job."""
    document = await context.json_object(request)
    try:
        batch_id, _ = await run_in_threadpool(_create, request, document)
    except _ForbiddenError:
        return text(_NO_PERMISSION, 401)  # plain text, as documented (api §9 G-45)
    return success({"batchId": batch_id}, 201)


async def _receive(request: Request, path: Path) -> None:
    """Write the body to *path* as it comes in."""
    limit = context.instance(request).limits.max_upload_bytes
    received = 0
    with path.open("wb") as file:
        async for chunk in request.stream():
            received += len(chunk)
            if received <= limit:  # the rest is read and dropped, so that the client gets to read the answer
                file.write(chunk)
    if received > limit:
        raise _TooLargeError


def _fault(request: Request) -> JobFault:
    found: JobFault = request.scope.get("emulator.job_fault", JobFault())
    return found


async def upload(request: Request) -> Response:
    """Take the input of a job; exactly one upload per job is accepted."""
    jobs = _jobs(request)
    row = await run_in_threadpool(_job, request)
    batch_id = row["id"]
    if row["owner"] not in context.user(request).writable:
        return text(_NO_PERMISSION, 401)
    if not await run_in_threadpool(jobs.claim, batch_id, again=request.scope.get("emulator.upload_again", False)):
        await request.body()
        # Undocumented (api §5.3): assumed.
        return _invalid(f"Batch {batch_id} has already been uploaded")
    partial = jobs.partial_path(f"{batch_id}-{id(request)}")
    try:
        await _receive(request, partial)
    except (_TooLargeError, ClientDisconnect) as error:
        partial.unlink(missing_ok=True)
        await run_in_threadpool(jobs.release, batch_id)
        if isinstance(error, ClientDisconnect):
            raise
        return _too_large(request)
    await run_in_threadpool(jobs.accept, batch_id, partial, _fault(request))
    row = await run_in_threadpool(_job, request)
    # At this moment nothing has been counted: the worker may already be at it (fixture of api §5.3).
    row |= {"status": "Queued", "unprocessed": 0} | {f"{s}_{o}": 0 for s in _SECTIONS for o in ("success", "error")}
    return success(describe(row, additional=False), 202)


async def _part(form: Any, name: str) -> bytes:
    value = form.get(name)
    if isinstance(value, UploadFile):
        return await value.read()
    if isinstance(value, str):
        return value.encode()
    raise RefusalError(400, MALFORMED)


def _count_items(content: bytes) -> int:
    try:
        document = msgspec.json.decode(content)
    except NOT_JSON:
        return 0
    if isinstance(document, dict):
        return sum(len(document.get(section) or ()) for section in _SECTIONS)
    return len(document) if isinstance(document, list) else 0


async def create_and_upload(request: Request) -> Response:
    """Create a job and take its input in one request (api §5.4)."""
    limits = context.instance(request).limits
    jobs = _jobs(request)
    async with request.form(max_part_size=limits.max_upload_bytes) as form:
        content = await _part(form, "content")
        try:
            document = msgspec.json.decode(await _part(form, "config"))
        except NOT_JSON as error:
            raise RefusalError(400, MALFORMED) from error
    if not isinstance(document, dict):
        raise RefusalError(400, MALFORMED)
    if len(content) > limits.max_upload_bytes:
        return _too_large(request)
    try:
        batch_id, _ = await run_in_threadpool(_create, request, document)
    except _ForbiddenError:
        return text(_NO_PERMISSION, 401)
    await run_in_threadpool(jobs.claim, batch_id)
    partial = jobs.partial_path(str(batch_id))
    await run_in_threadpool(partial.write_bytes, content)
    inline = 0 < await run_in_threadpool(_count_items, content) < limits.synchronous_batch_save_limit
    await run_in_threadpool(jobs.accept, batch_id, partial, _fault(request), now=inline)
    row = await run_in_threadpool(jobs.get, batch_id)
    additional = flag(request.query_params.get("includeAdditional", ""))
    return success(describe(row or {}, additional=additional, with_id=not inline))


def status(request: Request) -> Response:
    """Where a job stands."""
    return success(describe(_job(request), additional=flag(request.query_params.get("includeAdditional", ""))))


def _running(row: dict[str, Any]) -> Response | None:
    if row["status"] == "Completed":
        return None
    return _invalid(f"Batch still in {row['status']} state")


def _entries(messages: list[dict[str, Any]]) -> bytes:
    return msgspec.json.encode(
        [
            {
                "code": message["code"],
                "severity": message["severity"],
                "errorReason": message["reason"],
                "errorMessage": message["message"],
                "errorSource": message["source"],
            }
            for message in messages
        ]
    )


def errors(request: Request) -> Response:
    """The errors of a finished job, gzipped; 404 when there are none. Warnings are in the results only (assumed)."""
    row = _job(request)
    running = _running(row)
    if running is not None:
        return running
    found = [message for message in _jobs(request).messages(row["id"]) if message["severity"] == "Error"]
    if not found:
        raise not_found()
    # Exactly this content type: the old SDK compares (api §9 G-9).
    response = plain(gzip.compress(_entries(found), 1), content_type="application/octet-stream")
    response.headers["content-encoding"] = "gzip"
    return response


def results(request: Request) -> Response:
    """Everything a finished job has to say, filtered; 404 when nothing is left (api §5.7)."""
    row = _job(request)
    running = _running(row)
    if running is not None:
        return running
    found = _jobs(request).messages(row["id"])
    query = request.query_params
    code = query.get("code")
    if code is not None:
        if not code.startswith("0x"):
            return _invalid(f"The code {code} is not valid")
        found = [message for message in found if message["code"].lower() == code.lower()]
    severity = query.get("severity")
    if severity is not None:
        if severity.lower() not in _SEVERITIES:
            return _invalid(f"The severity {severity} is not valid")
        found = [message for message in found if message["severity"] == _SEVERITIES[severity.lower()]]
    part = query.get("contains")
    if part is not None:
        found = [message for message in found if part in message["reason"] or part in message["message"]]
    if not found:
        raise not_found()
    return plain(_entries(found))


ROUTES = [
    Route("/v2/batch", create, methods=["POST"]),
    Route("/v2/batch/createAndUpload", create_and_upload, methods=["POST"]),
    Route("/v2/batch/{id}", upload, methods=["POST"]),
    Route("/v2/batch/{id}", status),
    Route("/v2/batch/{id}/errors", errors),
    Route("/v2/batch/{id}/results", results),
]
