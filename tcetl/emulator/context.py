"""What a route handler needs of the request: the parts of the instance, the user and the owner asked for."""

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec
from starlette.requests import Request

from tcetl.emulator.answers import MALFORMED, NOT_JSON, OWNER_NOT_FOUND, RefusalError
from tcetl.emulator.tenants import Owner, User

if TYPE_CHECKING:
    from tcetl.emulator.instance import Instance


def instance(request: Request) -> "Instance":
    """The emulated instance that serves this request."""
    found: Instance = request.scope["emulator.instance"]
    return found


def user(request: Request) -> User:
    """The authenticated user."""
    found: User = request.scope["emulator.user"]
    return found


def owner(request: Request) -> Owner:
    """The owner named by the ``owner`` parameter (by default the user's organization); 403 when out of reach."""
    # The documentation's signing sample spells it "Owner" (api §1.3).
    found = user(request).owner(request.query_params.get("owner", request.query_params.get("Owner")))
    if found is None:
        raise RefusalError(403, OWNER_NOT_FOUND)
    return found


def segment(request: Request, name: str) -> str:
    """A path segment, decoded after routing because values may hold slashes (api §1.1)."""
    return unquote(request.path_params[name])


def number(request: Request, name: str) -> int:
    """A numeric path segment; anything else cannot be found."""
    with contextlib.suppress(ValueError):
        return int(request.path_params[name])
    raise RefusalError(404, "The requested resource was not found")


async def json_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object; 400 otherwise."""
    try:
        document = msgspec.json.decode(await request.body())
    except NOT_JSON as error:
        raise RefusalError(400, MALFORMED) from error
    if not isinstance(document, dict):
        raise RefusalError(400, MALFORMED)
    return document
