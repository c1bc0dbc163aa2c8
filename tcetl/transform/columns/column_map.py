"""What the columns of a feed mean: each role, and the column that has it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from tcetl.errors import FeedError


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMap:
    """The feed's columns by what they mean; only ``value`` is needed.

    Attributes:
        value: The indicator.
        value_type: The type of all values, where no column says it.
        type: What declares each row's type.
        hashes: Further hashes of the file that the value identifies. Where *value_type* says that it is none, those of
            a file beside it: a further indicator of the row.
        also: Columns with further indicators of a row, between commas, semicolons or blanks. Each goes by its shape, or
            by the type that is given for its column.
        description: What is said of the indicator in words.
        details: Go into the description with their names.
        source: Where it is reported.
        tags: Tags, between commas, semicolons or bars.
        first_seen: When it was seen first.
        last_seen: When it was seen last.
        confidence: 0-100.
        rating: 0-5.
        tlp: Level of the Traffic Light Protocol; becomes a security label.
        size: The file's size in bytes.
        external_date_added: When the source added it.
        external_last_modified: When the source changed it.
        external_date_expires: Until when the source means it.
        attributes: Columns that become attributes, with the attribute's type on the platform.
        file_name: The name under which the file was found; becomes a file occurrence, as the next two.
        path: The folder in which it was found.
        found: When it was found there.
    """

    value: str
    value_type: str | None = None
    type: str | None = None
    hashes: Sequence[str] = ()
    also: Sequence[str] | Mapping[str, str] = ()
    description: str | None = None
    details: Sequence[str] = ()
    source: str | None = None
    tags: str | None = None
    first_seen: str | None = None
    last_seen: str | None = None
    confidence: str | None = None
    rating: str | None = None
    tlp: str | None = None
    size: str | None = None
    external_date_added: str | None = None
    external_last_modified: str | None = None
    external_date_expires: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    file_name: str | None = None
    path: str | None = None
    found: str | None = None

    @property
    def further(self) -> dict[str, str]:
        """The columns in `also` with the types of their values; the empty text for those that go by their shape."""
        return dict(self.also) if isinstance(self.also, Mapping) else dict.fromkeys(self.also, "")

    @property
    def hashes_apart(self) -> bool:
        """Whether `hashes` are those of a file beside the value."""
        return bool(self.hashes) and self.value_type not in (None, "File")

    @property
    def has_further(self) -> bool:
        """Whether a row may have further indicators."""
        return bool(self.also) or self.hashes_apart

    def with_roles(self, roles: Mapping[str, Any]) -> "ColumnMap":
        """Return this map with other columns for some roles, such as ``{"confidence": "score"}``; with more in `also`.

        Raises:
            FeedError: There is no such role.
        """
        if strange := sorted(roles.keys() - {each.name for each in fields(self)}):
            known = ", ".join(each.name for each in fields(self))
            raise FeedError(f"columns have no role '{strange[0]}'", hint=f"one of: {known}")
        other = replace(self, **roles)
        return replace(other, also=self.further | other.further) if "also" in roles else other

    def used(self) -> set[str]:
        """Return the names of all columns that are taken."""
        taken: set[str] = set()
        for each in fields(self):
            named = getattr(self, each.name)
            if each.name != "value_type" and named:
                taken.update([named] if isinstance(named, str) else named)
        return taken
