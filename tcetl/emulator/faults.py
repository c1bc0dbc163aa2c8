"""Faults on demand: which request is struck, and how."""

import asyncio
import itertools
import random
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any, Final, Literal

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tcetl.emulator.batch_jobs import JobFault
from tcetl.emulator.batch_messages import EXCEPTIONS, REFUSALS
from tcetl.emulator.routes import matches

Kind = Literal[
    "status",  # answer `status` with `body`, `headers`, `retry_after`
    "html",  # answer an HTML page, as a proxy or a login wall would, with `status` (default 200)
    "reset",  # reset the connection: after `bytes` of the request's body (default none), or when the server has acted
    "truncate",  # break the real answer off after `bytes` of its body (default half)
    "drip",  # send the real answer in pieces of `bytes`, `seconds` apart
    "delay",  # wait `seconds`, then serve as usual
    "skew",  # the server's clock is `seconds` off, in the Date header and in the check of the signature
    "job_stuck",  # an uploaded job stays Running: for `seconds`, or for ever
    "job_half",  # an uploaded job breaks off after `fraction` of its items
    "job_refuses",  # an uploaded job fails at the items named in `refuse`, each with its code
    "upload_again",  # a second upload to the same job is accepted, and applied on top of the first
]
_BEHAVIOUR: Final[frozenset[Kind]] = frozenset(("skew", "job_stuck", "job_half", "job_refuses", "upload_again"))
"""How the server behaves; all of these that strike a request do. Of the other kinds one does, the first."""


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One rule. It strikes the ``nth`` matching request and those after it, ``count`` times (None: always).

    With a ``probability`` it strikes that share of them, the same ones for the same ``seed``. A ``status`` without a
    ``body`` says what the platform, or the gateway before it, says with it.
    """

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
    content_type: str | None = None
    headers: dict[str, str] = {}
    retry_after: int | float | str | None = None
    bytes: int | None = None
    seconds: float | None = None
    fraction: float = 0.5
    refuse: dict[str, str] = {}  # summary of an indicator or xid of a group → code of api §5.7

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.refuse.values()) - REFUSALS.keys() - EXCEPTIONS.keys()):
            raise ValueError(f"no job refuses an item with {', '.join(unknown)}")


class _Rule:
    """A fault and how often it has matched and struck."""

    def __init__(self, id_: int, fault: Fault) -> None:
        self.id = id_
        self.fault = fault
        self.matched = 0
        self.struck = 0
        self._random = random.Random(fault.seed)  # noqa: S311 - reproducible, not secret

    def is_due(self, method: str, path: str) -> bool:
        """Count this request if it matches, and tell whether to strike it."""
        fault = self.fault
        if (fault.method is not None and fault.method != method) or not matches(fault.route, path):
            return False
        self.matched += 1
        if self.matched < fault.nth or (fault.count is not None and self.struck >= fault.count):
            return False
        return fault.probability >= 1.0 or self._random.random() < fault.probability


class FaultBoard:
    """The rules in force, older ones first."""

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

    def strike(self, method: str, path: str) -> list[Fault]:
        """The faults of this request: of those that break the answer only the first."""
        struck: list[Fault] = []
        with self._lock:
            for rule in self._rules:
                if rule.is_due(method, path) and (
                    rule.fault.kind in _BEHAVIOUR or all(fault.kind in _BEHAVIOUR for fault in struck)
                ):
                    rule.struck += 1
                    struck.append(rule.fault)
        return struck


_PAGE: Final = "<!DOCTYPE html>\n<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>\n"
_BY_GATEWAY: Final = frozenset((502, 504))
"""What the platform never says itself: an HTML page by default, as gateways answer."""
_MESSAGES: Final = {  # api §1.4; none is documented for 429
    400: "The request was not properly formed",
    401: "Access Denied",
    403: "Access Denied",
    404: "The requested resource was not found",
    429: "Too Many Requests",
}
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


def _answer_of(fault: Fault) -> tuple[str, str]:
    """Body and content type of a status: those given, or what is usual with it."""
    status = fault.status or 503
    if fault.body is not None:
        return fault.body, fault.content_type or "application/json"
    if status in _BY_GATEWAY:
        return _PAGE.format(f"{status} {HTTPStatus(status).phrase}"), fault.content_type or "text/html"
    document = {"status": "Failure", "message": _MESSAGES.get(status, "An unknown error occurred")}
    return msgspec.json.encode(document).decode(), fault.content_type or "application/json"


async def _status(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    body, content_type = _answer_of(fault)
    headers = {"content-type": content_type, **fault.headers}
    if fault.retry_after is not None:
        headers["retry-after"] = str(fault.retry_after)
    await _replaced(fault, app, scope, receive, send, Response(body, fault.status or 503, headers))


async def _html(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    answer = Response(fault.body or _PAGE.format("Sign in"), fault.status or 200, {"content-type": "text/html"})
    await _replaced(fault, app, scope, receive, send, answer)


async def _reset(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, _send: Send) -> None:
    if fault.when == "after":
        await _act_silently(app, scope, receive)
    received, more = 0, fault.when == "before" and fault.bytes is not None
    while more and received < (fault.bytes or 0):
        message = await receive()
        received += len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)
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
    so_far = scope.get("emulator.job_fault", JobFault())
    if fault.kind == "job_half":
        found = replace(so_far, stop_after=fault.fraction)
    elif fault.kind == "job_refuses":
        found = replace(so_far, refuse={**so_far.refuse, **fault.refuse})
    elif fault.seconds is None:
        found = replace(so_far, stuck=True)
    else:
        found = replace(so_far, delay=fault.seconds)
    scope["emulator.job_fault"] = found
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
    "job_refuses": _job,
    "upload_again": _upload_again,
}


async def serve(faults: Sequence[Fault], app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one request through *app*, struck by *faults*."""
    # The last is the outermost: how the server behaves also shows where it did not get to act (its clock).
    for fault in sorted(faults, key=lambda fault: fault.kind in _BEHAVIOUR):
        app = partial(_INJECT[fault.kind], fault, app)
    await app(scope, receive, send)
