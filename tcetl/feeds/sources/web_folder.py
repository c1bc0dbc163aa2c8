"""A folder on a web server whose index lists its files, such as a MISP feed."""

from collections.abc import Sequence
from urllib.parse import urljoin

from tcetl.feeds.source import Source
from tcetl.feeds.sources.fetching import shown
from tcetl.feeds.sources.http import Http
from tcetl.feeds.unpack import Unpacking


class WebFolder:
    """Files beside an *index*, as a `Folder`; each is fetched when it is asked for.

    Nobody but the index knows which files there are, so only the index is listed.
    """

    def __init__(self, address: str, index: Source, name: str, http: Http, unpacking: Unpacking) -> None:
        self.location = shown(urljoin(address, "."))
        self._address = address
        self._index = index
        self._name = name
        self._http = http
        self._unpacking = unpacking

    def names(self) -> Sequence[str]:
        """Return the name of the index."""
        return [self._name]

    def file(self, name: str) -> Source:
        """Return one of the files."""
        if name == self._name:
            return self._index
        address = urljoin(self._address, name)
        body = self._http.get(address).body
        assert body is not None  # nothing was made conditional
        return Source(shown(address), body, self._unpacking)
