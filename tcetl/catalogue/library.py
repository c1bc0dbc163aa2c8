"""The feeds that come with tcetl, and the user's own beside them."""

from importlib.resources import files
from pathlib import Path
from typing import Final

import msgspec

from tcetl.catalogue.definition import FeedDefinition, read_definition
from tcetl.catalogue.undeclared import undeclared
from tcetl.errors import FeedError

_FEEDS: Final = Path(str(files("tcetl.catalogue") / "feeds"))


def names() -> list[str]:
    """Return the names of the feeds that come with tcetl, sorted."""
    return sorted(path.stem for path in _FEEDS.glob("*.toml"))


def resolve(
    given: str,
    format: str = "auto",  # noqa: A002 - the word users know
    *,
    allow_private: bool = False,
) -> FeedDefinition:
    """Return the feed that a user means: a name, a definition (``….toml``), or else a path or an address.

    Args:
        given: What the user named. A file that is called like a feed of ours is that file.
        format: The format of a path or an address.
        allow_private: Allow an address that is not on the public internet.

    Raises:
        FeedError: The definition cannot be read, or *format* was given for a feed that says it itself.
    """
    declared = given.endswith(".toml") or (given in names() and not Path(given).exists())
    if not declared:
        return msgspec.structs.replace(undeclared(given, format), allow_private=allow_private)
    if format != "auto":
        raise FeedError(f"feed {given} says its format itself", hint="leave out --format")
    found = find(given)
    return msgspec.structs.replace(found, allow_private=found.allow_private or allow_private)


def find(name_or_path: str) -> FeedDefinition:
    """Return the feed called so, or the one that the user's file ``….toml`` declares.

    Raises:
        FeedError: There is none, or the file is no definition.
    """
    if name_or_path.endswith(".toml"):
        return read_definition(Path(name_or_path))
    if name_or_path not in names():
        raise FeedError(
            f"there is no feed called {name_or_path!r}",
            hint="tcetl feed list shows those there are; one of your own is named by its file, ending in .toml",
        )
    return read_definition(_FEEDS / f"{name_or_path}.toml")
