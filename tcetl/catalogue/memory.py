"""What is remembered of a feed between two loads of it: how many rows it had, and which of its parts were read."""

from typing import Final

from tcetl.catalogue.definition import FeedDefinition
from tcetl.errors import NothingNewError
from tcetl.feeds import Feed, PartedFeed
from tcetl.feeds.sources import FetchState

_ROWS: Final = "rows"


class Memory:
    """What the last load knew of the feed that *definition* declares, by *state*; without one it is nothing."""

    def __init__(self, definition: FeedDefinition, state: FetchState | None) -> None:
        self._definition = definition
        self._state = state
        self._feed = f"feed:{definition.name or definition.url}"
        self._parts = f"{definition.url}#parts"

    @property
    def last_rows(self) -> int | None:
        """How many rows the feed had when it was last loaded whole; 0 where nobody knows, None without a state."""
        return int(self._state.known(self._feed).get(_ROWS, 0)) if self._state else None

    def leave_out(self, feed: Feed) -> bool:
        """Have the parts of *feed* left out that were loaded as they are; tell whether any were loaded before.

        Raises:
            NothingNewError: All were.
        """
        if self._state is None or not isinstance(feed, PartedFeed):
            return False
        known = self._state.known(self._parts)
        if known and not feed.leave_out(known):
            raise nothing_new(self._definition)
        return bool(known)

    def is_new(self, feed: Feed | None) -> bool:
        """Tell whether any part of *feed* was read that was not loaded before; one that is listed may not be there."""
        if self._state is None or feed is None or not isinstance(feed, PartedFeed):
            return True
        return not feed.versions.items() <= self._state.known(self._parts).items()

    def learn(self, feed: Feed | None, rows: int, *, is_partial: bool) -> None:
        """Note for the state's next commit what of *feed* was read: its parts, and how many *rows*, if that is all."""
        if self._state is None:
            return
        if not is_partial:
            self._state.learn(self._feed, {_ROWS: str(rows)})
        if feed and isinstance(feed, PartedFeed) and feed.versions:
            self._state.learn(self._parts, dict(feed.versions))


def nothing_new(definition: FeedDefinition) -> NothingNewError:
    """Return the error of a load that has nothing to do."""
    return NothingNewError(f"feed {definition.name or definition.url} has nothing new", hint="nothing was loaded")
