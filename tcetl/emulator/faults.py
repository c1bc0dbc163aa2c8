"""Faults on demand: which request is struck, and how."""

import asyncio
import itertools
import random
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tcetl.emulator.batch_jobs import JobFault
from tcetl.emulator.routes import matches

Kind = Literal[
    "status",  # answer `status` with `body`, `headers`, `retry_after`
    "html",  # answer an HTML page, as a proxy or a login wall would, with `status` (default 200)
    "reset",  # reset the connection
    "truncate",  # break the real answer off after `bytes` of its body (default half)
    "drip",  # send the real answer in pieces of `bytes`, `seconds` apart
    "delay",  # wait `seconds`, then serve as usual
    "skew",  # the server's clock is `seconds` off, in the Date header and in the check of the signature
    "job_stuck",  # an uploaded job stays Running: for `seconds`, or for ever
    "job_half",  # an uploaded job breaks off after `fraction` of its items
    "upload_again",  # a second upload to the same job is accepted and applied again
]


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One rule. It strikes the ``nth`` matching request and those after it, ``count`` times (None: always)."""

    kind: Kind
    route: str = "**"
    method: str | None = None
    nth: int = 1
    count: int | None = 1
    probability: float = 1.0
    seed: int = 0
    when: Literal["before", "after"] = "before"  # the server has not acted yet, or has (status, html, reset)
    status: int | None = None
    body: str | None = None
    content_type: str = "application/json"
    headers: dict[str, str] = {}
    retry_after: int | float | str | None = None
    bytes: int | None = None
    seconds: float | None = None
    fraction: float = 0.5


class _Rule:
    """A fault and how often it has matched and struck."""

    def __init__(self, id_: int, fault: Fault) -> None:
        self.id = id_
        self.fault = fault
        self.matched = 0
        self.struck = 0
        self._random = random.Random(fault.seed)  # noqa: S311 - reproducible, not secret

    def strikes(self, method: str, path: str) -> bool:
        fault = self.fault
        if (fault.method is not None and fault.method != method) or not matches(fault.route, path):
            return False
        self.matched += 1
        if self.matched < fault.nth or (fault.count is not None and self.struck >= fault.count):
            return False
        if fault.probability < 1.0 and self._random.random() >= fault.probability:
            return False
        self.struck += 1
        return True


class FaultBoard:
    """The rules in force. The first one that strikes wins the request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []
        self._ids = itertools.count(1)

    def add(self, fault: Fault) -> int:
        """Put a rule in force; return its id."""
        with self._lock:
            rule = _Rule(next(self._ids), fault)
            self._rules.append(rule)
        return rule.id

    def clear(self) -> None:
        """Remove all rules."""
        with self._lock:
            self._rules.clear()

    def describe(self) -> list[dict[str, Any]]:
        """The rules with how often each has matched and struck."""
        with self._lock:
            return [
                {
                    "id": rule.id,
                    "kind": rule.fault.kind,
                    "route": rule.fault.route,
                    "method": rule.fault.method,
                    "matched": rule.matched,
                    "struck": rule.struck,
                }
                for rule in self._rules
            ]

    def strike(self, method: str, path: str) -> Fault | None:
        """The fault for this request, if any."""
        with self._lock:
            return next((rule.fault for rule in self._rules if rule.strikes(method, path)), None)


_PAGE: Final = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><h1>Please sign in</h1></body></html>\n"
_Inject = Callable[[Fault, ASGIApp, Scope, Receive, Send], Awaitable[None]]


async def drain(receive: Receive) -> None:
    """Read the rest of the request body, so that the client gets to read the answer."""
    while (message := await receive())["type"] == "http.request" and message.get("more_body", False):
        pass


async def _act_silently(app: ASGIApp, scope: Scope, receive: Receive) -> None:
    async def swallow(_message: Message) -> None:
        return

    await app(scope, receive, swallow)


async def _replaced(  # noqa: PLR0917 - the ASGI triple, and what goes with it
    fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send, answer: Response
) -> None:
    if fault.when == "after":
        await _act_silently(app, scope, receive)
    else:
        await drain(receive)
    await answer(scope, receive, send)


async def _status(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    headers = {"content-type": fault.content_type, **fault.headers}
    if fault.retry_after is not None:
        headers["retry-after"] = str(fault.retry_after)
    status = fault.status or 503
    body = fault.body if fault.body is not None else '{"status":"Failure","message":"An unknown error occurred"}'
    await _replaced(fault, app, scope, receive, send, Response(body, status, headers))


async def _html(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    answer = Response(fault.body or _PAGE, fault.status or 200, {"content-type": "text/html"})
    await _replaced(fault, app, scope, receive, send, answer)


async def _reset(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, _send: Send) -> None:
    if fault.when == "after":
        await _act_silently(app, scope, receive)
    transport: asyncio.Transport = scope["emulator.transport"]
    sock = transport.get_extra_info("socket")
    # Linger for zero seconds: the kernel sends RST instead of FIN.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _truncate(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    left = fault.bytes

    async def cut(message: Message) -> None:
        nonlocal left
        if message["type"] == "http.response.start" and left is None:
            lengths = [int(value) for name, value in message["headers"] if name == b"content-length"]
            left = lengths[0] // 2 if lengths else 0
        if message["type"] != "http.response.body":
            await send(message)
        elif left:
            piece = message.get("body", b"")[:left]
            left -= len(piece)
            # The server closes the connection because the announced length is never reached.
            await send({"type": "http.response.body", "body": piece, "more_body": True})

    await app(scope, receive, cut)


async def _drip(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    size, pause = fault.bytes or 256, 0.05 if fault.seconds is None else fault.seconds

    async def slowly(message: Message) -> None:
        body = message.get("body", b"")
        if message["type"] != "http.response.body" or not body:
            await send(message)
            return
        for start in range(0, len(body), size):
            await asyncio.sleep(pause)
            more = message.get("more_body", False) or start + size < len(body)
            await send({"type": "http.response.body", "body": body[start : start + size], "more_body": more})

    await app(scope, receive, slowly)


async def _delay(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(fault.seconds or 0)
    await app(scope, receive, send)


async def _skew(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    scope["emulator.skew"] = fault.seconds or 0.0
    await app(scope, receive, send)


async def _job(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    if fault.kind == "job_half":
        scope["emulator.job_fault"] = JobFault(stop_after=fault.fraction)
    elif fault.seconds is None:
        scope["emulator.job_fault"] = JobFault(stuck=True)
    else:
        scope["emulator.job_fault"] = JobFault(delay=fault.seconds)
    await app(scope, receive, send)


async def _upload_again(_fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    scope["emulator.upload_again"] = True
    await app(scope, receive, send)


_INJECT: Final[dict[Kind, _Inject]] = {
    "status": _status,
    "html": _html,
    "reset": _reset,
    "truncate": _truncate,
    "drip": _drip,
    "delay": _delay,
    "skew": _skew,
    "job_stuck": _job,
    "job_half": _job,
    "upload_again": _upload_again,
}


async def serve(fault: Fault | None, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one request through *app*, struck by *fault*."""
    if fault is None:
        await app(scope, receive, send)
    else:
        await _INJECT[fault.kind](fault, app, scope, receive, send)
