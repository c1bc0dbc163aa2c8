"""Owners, the API user, and the instance's indicator types."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from tcetl.client.answers import data_of
from tcetl.client.paging import items
from tcetl.errors import OwnerNotFoundError, TcetlError

if TYPE_CHECKING:
    from tcetl.client.session import Session

_NAMED: Final = 20


class Owner(msgspec.Struct, frozen=True, rename="camel"):
    """An owner: an Organization, Community or Source that holds indicators."""

    id: int
    name: str
    type: str


class User(msgspec.Struct, frozen=True, rename="camel"):
    """The API user that the credentials belong to."""

    user_name: str
    first_name: str = ""
    last_name: str = ""
    pseudonym: str = ""
    role: str = ""


class IndicatorTypeInfo(msgspec.Struct, frozen=True, rename="camel"):
    """One indicator type of the instance, custom ones included; ``case_preference`` is upper, lower or sensitive."""

    name: str
    api_branch: str
    api_entity: str
    custom: bool = False
    parsable: bool = False
    case_preference: str = ""
    value1_label: str = ""
    value2_label: str = ""
    value3_label: str = ""

    @property
    def value_labels(self) -> tuple[str, ...]:
        """The keys that hold the value's parts, as far as the platform names them."""
        return tuple(label for label in (self.value1_label, self.value2_label, self.value3_label) if label)


class _WhoAmI(msgspec.Struct):
    user: User


class _Mine(msgspec.Struct):
    owner: Owner


def list_owners(session: "Session") -> list[Owner]:
    """All owners that the API user can see."""
    return list(items(session, "/v2/owners", "owner", Owner))


def own_organization(session: "Session") -> Owner:
    """The API user's own organization."""
    return data_of(session.request("GET", "/v2/owners/mine"), _Mine).owner


def find_owner(session: "Session", name: str) -> Owner:
    """The owner called *name*.

    Raises:
        OwnerNotFoundError: There is none, or the API user cannot see it; the hint names those that it can.
    """
    visible = list_owners(session)
    for owner in visible:
        if owner.name == name:
            return owner
    raise OwnerNotFoundError(
        f"owner {name!r} does not exist or is not visible to this API user", status=403, hint=_suggest(name, visible)
    )


@contextlib.contextmanager
def naming_owner(session: "Session", name: str) -> Iterator[None]:
    """Let an :class:`OwnerNotFoundError` of the block name *name* and the owners that are visible."""
    try:
        yield
    except OwnerNotFoundError as error:
        try:
            visible = list_owners(session)
        except TcetlError:
            raise error from None
        raise OwnerNotFoundError(
            f"owner {name!r}: {error.message}",
            status=error.status,
            method=error.method,
            path=error.path,
            hint=_suggest(name, visible),
        ) from None


def who_am_i(session: "Session") -> User:
    """The API user that the credentials belong to."""
    return data_of(session.request("GET", "/v2/whoami"), _WhoAmI).user


def list_indicator_types(session: "Session") -> list[IndicatorTypeInfo]:
    """The instance's indicator types."""
    return list(items(session, "/v2/types/indicatorTypes", "indicatorType", IndicatorTypeInfo))


def _suggest(name: str, visible: list[Owner]) -> str:
    close = [owner.name for owner in visible if owner.name.casefold() == name.casefold()]
    if close:
        return f"did you mean {close[0]!r}?"
    names = [owner.name for owner in visible]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"visible owners: {', '.join(names[:_NAMED])}{more}" if names else "this API user can see no owner"
