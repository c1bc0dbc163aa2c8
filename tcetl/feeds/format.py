"""What a format of feeds is to the rest: a name, a way to tell it by its content, and a reader."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tcetl.errors import FeedError
from tcetl.feeds.base import Feed
from tcetl.feeds.source import Folder, Source


@dataclass(frozen=True, slots=True)
class Format:
    """One format, by its ``name``; ``title`` says in a few words what it is.

    ``recognise`` tells a file of the format by its `Source.head` or `Source.text`, ``recognise_folder`` a folder that
    is one feed. ``reader`` is called with the source (or folder), the feed's name and the reader's own options, which
    are keyword-only parameters with defaults; a reader that is given what is not its format raises `FeedError`.
    """

    name: str
    title: str
    reader: Callable[..., Feed]
    recognise: Callable[[Source], bool]
    recognise_folder: Callable[[Folder], bool] | None = None

    @property
    def options(self) -> Sequence[str]:
        """The names of the reader's own options."""
        parameters = inspect.signature(self.reader).parameters.values()
        return [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]

    def open(self, source: Source | Folder, name: str, **options: Any) -> Feed:
        """Return the feed in *source*.

        Raises:
            FeedError: *source* is not of this format, or the format has no such option.
        """
        if unknown := options.keys() - set(self.options):
            known = ", ".join(self.options) or "none"
            raise FeedError(f"format {self.name} has no option {', '.join(sorted(unknown))}", hint=f"it has: {known}")
        if not isinstance(source, Source) and self.recognise_folder is None:
            raise FeedError(
                f"{source.location} holds {len(source.names())} files; format {self.name} reads one",
                hint=f"name one of them: {', '.join(source.names()[:10])}",
            )
        return self.reader(source, name, **options)
