"""The ASGI application: routing on the raw path, authentication, faults and journal around the routes."""

import logging
import time
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tcetl.emulator import (
    admin,
    v2_batch,
    v2_bulk,
    v2_group_files,
    v2_identity,
    v2_indicators,
    v3_groups,
    v3_identity,
    v3_indicators,
)
from tcetl.emulator.answers import RefusalError, refusal, text
from tcetl.emulator.auth import authenticate
from tcetl.emulator.faults import drain, serve
from tcetl.emulator.instance import Instance

# Fixed paths before patterns that would also fit them.
_ROUTES: Final[list[BaseRoute]] = [
    *v2_identity.ROUTES,
    *v2_bulk.ROUTES,
    *v2_indicators.ROUTES,
    *v2_batch.ROUTES,
    *v2_group_files.ROUTES,
    *v3_identity.ROUTES,
    *v3_indicators.ROUTES,
    *v3_groups.ROUTES,
]
_log = logging.getLogger(__name__)


def _route_path(raw_path: bytes) -> str:
    """The path to route on: still encoded (api §9 G-30), without /api (G-35) and without a trailing slash (§1.1)."""
    path = raw_path.decode("latin-1")
    if path.startswith("/api/"):
        path = path[4:]
    return path.rstrip("/") or "/"


async def _no_such_route(scope: Scope, receive: Receive, send: Send) -> None:
    # As the platform's framework answers an unknown route (api §1.4).
    await drain(receive)
    await text(f"Could not find resource for relative : {scope['path']}", 500)(scope, receive, send)


class App:
    """Serves *instance*."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._api = _refusing(_authenticated(Router(_ROUTES, redirect_slashes=False, default=_no_such_route)))
        self._admin = _refusing(Router(admin.ROUTES, redirect_slashes=False, default=_no_such_route))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        scope["path"] = _route_path(scope["raw_path"])
        scope["emulator.instance"] = self._instance
        if scope["path"].startswith("/admin"):
            await (self._admin if admin.is_local(scope) else _no_such_route)(scope, receive, send)
        else:
            await self._journaled(scope, receive, send)

    async def _journaled(self, scope: Scope, receive: Receive, send: Send) -> None:
        instance = self._instance
        method, path = scope["method"], scope["path"]
        faults = instance.faults.strike(method, path)
        entry: dict[str, Any] = {"time": instance.clock.stamp(), "request_bytes": 0}
        entry |= {"status": 0, "served": 0, "bytes": 0}
        started = time.perf_counter()
        instance.journal.begin()

        async def counted_receive() -> Message:
            message = await receive()
            entry["request_bytes"] += len(message.get("body", b""))
            return message

        async def dated_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
                date = instance.clock.http_date(scope.get("emulator.skew", 0.0))
                message["headers"] = [*message["headers"], (b"date", date.encode())]
            await send(message)
            entry["bytes"] += len(message.get("body", b""))

        async def api(scope: Scope, receive: Receive, send: Send) -> None:
            async def watched_send(message: Message) -> None:
                if message["type"] == "http.response.start":
                    entry["served"] = message["status"]
                await send(message)

            await self._api(scope, receive, watched_send)

        try:
            await serve(faults, api, scope, counted_receive, dated_send)
        finally:
            user = scope.get("emulator.user")
            instance.journal.add(
                method=method,
                path=path,
                query=scope["query_string"].decode("latin-1"),
                user=user.name if user is not None else None,
                fault="+".join(fault.kind for fault in faults) or None,
                seconds=round(time.perf_counter() - started, 6),
                **entry,
            )


def _authenticated(app: ASGIApp) -> ASGIApp:
    """Let a request through to *app* when its sender is known; the signature covers the target as received."""

    async def serve_user(scope: Scope, receive: Receive, send: Send) -> None:
        target = scope["raw_path"].decode("latin-1")
        if scope["query_string"]:
            target += f"?{scope['query_string'].decode('latin-1')}"
        instance: Instance = scope["emulator.instance"]
        now = instance.clock.now() + scope.get("emulator.skew", 0.0)
        scope["emulator.user"] = authenticate(Headers(scope=scope), target, scope["method"], now)
        await app(scope, receive, send)

    return serve_user


def _refusing(app: ASGIApp) -> ASGIApp:
    """Turn a refusal raised anywhere in *app* into its answer, after reading what the client is still sending."""

    async def serve_refusals(scope: Scope, receive: Receive, send: Send) -> None:
        more = True

        async def watched() -> Message:
            nonlocal more
            message = await receive()
            more = message["type"] == "http.request" and message.get("more_body", False)
            return message

        try:
            await app(scope, watched, send)
        except RefusalError as error:
            if more:
                await drain(receive)
            await refusal(error, scope["path"])(scope, receive, send)
        except ClientDisconnect:
            _log.info("the client went away: %s", scope["path"])
        except Exception:  # noqa: BLE001 - a bug of the emulator: logged, and answered as the platform would
            _log.exception("%s %s", scope["method"], scope["path"])
            await refusal(RefusalError(500, "An unknown error occurred"), scope["path"])(scope, receive, send)

    return serve_refusals
