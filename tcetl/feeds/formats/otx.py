"""AlienVault OTX: pulses, one or many, as the API and the exports give them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from tcetl.errors import FeedError
from tcetl.feeds import jsonstream
from tcetl.feeds.base import RawBatch
from tcetl.feeds.flatten import as_text
from tcetl.feeds.format import Format
from tcetl.feeds.jsonshape import beginning
from tcetl.feeds.source import Source
from tcetl.feeds.standards.finding import COLUMNS, Finding, Placed, Refusal, describe, moment, tag_cell, to_batches
from tcetl.feeds.tlp import level_of

_PULSE: Final = "https://otx.alienvault.com/pulse/"
_TYPES: Final = {
    "IPv4": "ip", "IPv6": "ip", "CIDR": "cidr", "domain": "domain", "hostname": "domain", "URL": "url",
    "email": "email", "FileHash-MD5": "md5", "FileHash-SHA1": "sha1", "FileHash-SHA256": "sha256", "Mutex": "mutex",
}  # fmt: skip
_TAGS: Final = ("tags", "malware_families", "adversary", "industries", "targeted_countries", "attack_ids")
_MARK: Final = re.compile(rb'"indicators"\s*:\s*\[')


class OtxFeed:
    """A feed of OTX pulses; a record is an indicator of a pulse, its pointer the ids of both: ``pulse/indicator``.

    The pulse's name describes an indicator that has no words of its own; its tags, families, adversary, industries,
    countries and techniques are tags, its page is the source.

    Args:
        source: A pulse, a list of pulses, or what the API answers.
        name: The feed's name.
        expired: Take indicators that OTX says are no longer active, or whose time is over.
    """

    format = "otx"
    columns: Sequence[str] = COLUMNS
    notes: Sequence[str] = ()
    comments: Sequence[str] = ()

    def __init__(self, source: Source, name: str, *, expired: bool = False) -> None:
        path = _path(source)
        if path is None:
            raise FeedError(
                f"feed file {source.location} holds no OTX pulse", hint="a pulse has a name and 'indicators'"
            )
        self.name = name
        self.file = source.location
        self._source = source
        self._path = path
        self._expired = expired

    def batches(self) -> Iterator[RawBatch]:
        """Yield the indicators of one pulse after the other."""
        return to_batches(self._placed(), name=self.name, file=self.file)

    def _placed(self) -> Iterator[Placed]:
        row = 0
        for pulse in jsonstream.items(self._source, self._path):
            indicators = pulse.get("indicators") if isinstance(pulse, dict) else None
            for one in indicators if isinstance(indicators, list) else ():
                row += 1
                pointer = f"{as_text(pulse.get('id'))}/{as_text(one.get('id') if isinstance(one, dict) else None)}"
                yield Placed(self._item(pulse, one), row, pointer)

    def _item(self, pulse: Mapping[str, Any], one: Any) -> Finding | Refusal:
        value = one.get("indicator") if isinstance(one, dict) else None
        if not isinstance(value, str) or not value:
            return Refusal(as_text(one), "bad-object", "the record has no 'indicator'", severity="error")
        kind = as_text(one.get("type"))
        if kind not in _TYPES:
            return Refusal(value, "unsupported-type", f"an OTX indicator of type {kind} is no value of an indicator")
        until = moment(one.get("expiration"))
        if not self._expired and one.get("is_active") in (0, False):
            return Refusal(value, "expired", "OTX says that it is no longer active", "--option expired=true takes it")
        if not self._expired and until and until < datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"):
            return Refusal(value, "expired", f"the indicator was valid until {until}", "--option expired=true takes it")
        level = level_of(f"tlp:{as_text(pulse.get('TLP') or pulse.get('tlp'))}")
        said = [as_text(one.get(name)) for name in ("title", "description", "content", "role")]
        return Finding(
            value=value,
            type=_TYPES[kind],
            description=describe(as_text(pulse.get("name")), *said),
            source=f"{_PULSE}{pulse['id']}" if pulse.get("id") else as_text(pulse.get("author_name")),
            tags=tag_cell(_tags(pulse)),
            first_seen=moment(one.get("created") or pulse.get("created")),
            tlp=level,
        )


def _tags(pulse: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a pulse is tagged with; a family is a text in some answers and an object in others."""
    for name in _TAGS:
        said = pulse.get(name)
        for one in said if isinstance(said, list) else [said]:
            yield as_text(one.get("display_name") or one.get("id")) if isinstance(one, dict) else as_text(one)


def _path(source: Source) -> str | None:
    """Return the path of the pulses in the document."""
    if not _MARK.search(source.text):
        return None
    document = beginning(source)
    results = document.get("results") if isinstance(document, dict) else None
    for path, first in (("", document), ("item", document), ("results.item", results)):
        one = first[0] if path.endswith("item") and isinstance(first, list) and first else first
        if _is_pulse(one) and path.endswith("item") == isinstance(first, list):
            return path
    return None


def _is_pulse(one: Any) -> bool:
    indicators = one.get("indicators") if isinstance(one, dict) and "name" in one else None
    if not isinstance(indicators, list):
        return False
    return not indicators or (isinstance(indicators[0], dict) and {"indicator", "type"} <= indicators[0].keys())


FORMAT: Final = Format(
    "otx", "AlienVault OTX: pulses and their indicators", OtxFeed, lambda source: _path(source) is not None
)
