"""The owners and users of the emulated instance: fixed, so that tests can name them."""

from dataclasses import dataclass
from typing import Final

ORGANIZATION: Final = "Demo Organization"
SOURCE: Final = "Demo Source"
COMMUNITY: Final = "Demo Community"
SILENT_SOURCE: Final = "Silent Source"


@dataclass(frozen=True, slots=True)
class Owner:
    """An owner: what it is called, its type, and whether its bulk reports are generated (api §2.1, §4)."""

    id: int
    name: str
    type: str
    bulk: bool

    def document(self) -> dict[str, int | str]:
        """The owner as the API shows it."""
        return {"id": self.id, "name": self.name, "type": self.type}


OWNERS: Final = (
    Owner(1, ORGANIZATION, "Organization", bulk=False),
    Owner(2, SOURCE, "Source", bulk=True),
    Owner(3, COMMUNITY, "Community", bulk=True),
    Owner(4, SILENT_SOURCE, "Source", bulk=False),
)
OWNERS_BY_ID: Final = {owner.id: owner for owner in OWNERS}
_OWNERS_BY_NAME: Final = {owner.name.lower(): owner for owner in OWNERS}


@dataclass(frozen=True, slots=True)
class User:
    """An API user: its credentials, its own organization, and the ids of the owners it may read and write."""

    name: str
    access_id: str
    secret_key: str
    token: str
    readable: frozenset[int]
    writable: frozenset[int]
    first_name: str = "Api"
    last_name: str = "User"
    organization: int = 1

    def __repr__(self) -> str:
        return f"User({self.name!r})"

    def owner(self, name: str | None) -> Owner | None:
        """The readable owner called *name* (any case), or the user's own organization; None when out of reach."""
        if name is None:
            return OWNERS_BY_ID[self.organization]
        owner = _OWNERS_BY_NAME.get(name.lower())
        return owner if owner is not None and owner.id in self.readable else None

    def owners(self) -> list[Owner]:
        """The owners this user may read."""
        return [owner for owner in OWNERS if owner.id in self.readable]


def _user(number: int, name: str, readable: tuple[int, ...], writable: tuple[int, ...]) -> User:
    return User(
        name=name,
        access_id=f"{number:020d}",
        secret_key=f"emulator-secret-key-of-{name}-for-loopback-use-only",
        token=f"APIV2:{number}:emulator:4102444800000:dG9rZW4tb2Yt{name}=",  # shape of api §1.2
        readable=frozenset(readable),
        writable=frozenset(writable),
    )


WRITER: Final = _user(1, "writer", (1, 2, 3, 4), (1, 2, 3, 4))
READER: Final = _user(2, "reader", (1, 2, 3, 4), ())
OUTSIDER: Final = _user(3, "outsider", (1,), (1,))
USERS: Final = (WRITER, READER, OUTSIDER)
