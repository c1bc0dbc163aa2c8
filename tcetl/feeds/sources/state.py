"""What is remembered between two fetches of a feed, in a small file; it moves only when told that the load is done."""

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tcetl.atomic import AtomicFile, publish_errors
from tcetl.errors import FeedError
from tcetl.feeds.sources.fetching import shown

if TYPE_CHECKING:
    from upath import UPath

_VERSION: Final = 1
_DAMAGED: Final = (ValueError, KeyError, TypeError, AttributeError, RecursionError)  # not UTF-8 is a ValueError


class FetchState:
    """Facts by address: an entity tag, a time of last modification, how far a collection was read.

    `learn` notes what a fetch found out; only `commit` keeps it. A load that failed therefore fetches the same again.

    Args:
        path: The file, on a local disk or an object store; it need not exist yet.

    Raises:
        FeedError: there is a file that is no state.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        from upath import UPath  # noqa: PLC0415 - brings fsspec along, and most loads keep no state

        self.path = path if isinstance(path, UPath) else UPath(path)
        self._facts: dict[str, dict[str, str]] = {}
        self._learnt: dict[str, dict[str, str]] = {}
        try:
            document = json.loads(self.path.read_bytes())
            if document["version"] != _VERSION:
                raise ValueError(document["version"])
            self._facts = {str(one["key"]): dict(one["facts"]) for one in document["addresses"]}
        except FileNotFoundError:
            return
        except _DAMAGED:
            raise FeedError(
                f"{self.path} is no state of fetches", hint="name another file, or delete it to fetch everything anew"
            ) from None

    def known(self, address: str) -> dict[str, str]:
        """Return what was committed about *address*."""
        return dict(self._facts.get(_key(address), {}))

    def learn(self, address: str, facts: dict[str, str]) -> None:
        """Note *facts* about *address*, to be kept by `commit` in place of what was known."""
        self._learnt[_key(address)] = {**facts, "address": shown(address)}

    def commit(self) -> None:
        """Keep what was learnt, in one step.

        Raises:
            PublishError: the file cannot be written.
        """
        self._facts |= self._learnt
        self._learnt = {}
        addresses = [{"key": key, "facts": facts} for key, facts in sorted(self._facts.items())]
        _write(self.path, {"version": _VERSION, "addresses": addresses})

    def keep(self, path: "Path | UPath") -> None:
        """Write what was learnt to *path*, for `commit_kept`, maybe in another process, when the load is done.

        Raises:
            PublishError: the file cannot be written.
        """
        _write(path, {"version": _VERSION, "state": str(self.path), "learnt": self._learnt})

    @classmethod
    def commit_kept(cls, path: "Path | UPath") -> None:
        """Commit what `keep` wrote to *path*, if it wrote anything; doing so again changes nothing.

        Raises:
            FeedError: what it wrote is damaged, or what is there already is no state.
            PublishError: the state cannot be written.
        """
        try:
            kept = json.loads(path.read_bytes())
            state, learnt = kept["state"], {str(key): dict(facts) for key, facts in kept["learnt"].items()}
        except FileNotFoundError:
            return
        except _DAMAGED:
            raise FeedError(f"{path} is damaged", hint="delete it: the next load fetches the feed anew") from None
        fetched = cls(state)
        fetched._learnt = learnt
        fetched.commit()


def _write(path: "Path | UPath", document: dict[str, Any]) -> None:
    content = json.dumps(document, indent=1).encode()
    if isinstance(path, Path) or path.protocol in ("", "file", "local"):
        with AtomicFile(path if isinstance(path, Path) else Path(path.path)) as file:
            file.write(content)
    else:
        with publish_errors(str(path)):
            path.write_bytes(content)  # an object store shows an upload when it is whole


def _key(address: str) -> str:
    """Tell addresses apart by all of them, without writing down a key in one."""
    return hashlib.sha256(address.encode()).hexdigest()[:32]
