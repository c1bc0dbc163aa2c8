"""What happens when the hashes of an incoming File meet those of existing ones (api §5.2).

Three positions: md5, sha1, sha256. A conflict is one shared hash and a different one of another kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

Hashes = tuple[str | None, ...]
_KINDS: Final = ("MD5", "SHA-1", "SHA-256")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do.

    ``targets`` are positions in the list of matches that take the item's metadata, the first of them ``hashes`` too
    when it is not None; ``removed`` are positions of Files to delete; ``absorbed`` those whose metadata the first
    target inherits; ``created`` are the hashes of a new File; ``warning`` and ``note`` are for the results.
    """

    targets: tuple[int, ...] = ()
    hashes: Hashes | None = None
    removed: tuple[int, ...] = ()
    absorbed: tuple[int, ...] = ()
    created: Hashes | None = None
    warning: str = ""
    note: str = ""


def _conflicts(left: Hashes, right: Hashes) -> list[int]:
    return [
        position for position in range(3) if left[position] and right[position] and left[position] != right[position]
    ]


def _union(*sources: Hashes) -> Hashes:
    """Per kind, the first hash that any of *sources* has."""
    return tuple(next((source[kind] for source in sources if source[kind]), None) for kind in range(3))


def _named(positions: Sequence[int]) -> str:
    return ", ".join(_KINDS[position] for position in positions)


def plan(incoming: Hashes, matches: Sequence[Hashes], merge_mode: str, collision_mode: str) -> Plan:
    """Decide, given the existing Files that share a hash with *incoming*, most recently modified first."""
    if not matches:
        return Plan(created=incoming)
    everything = tuple(range(len(matches)))
    if len(matches) > 1 and merge_mode == "Distribute":
        return Plan(targets=everything)
    with_incoming = sorted({kind for match in matches for kind in _conflicts(incoming, match)})
    among = [position for position in everything[1:] if _conflicts(matches[0], matches[position])]
    if not with_incoming and not among:
        note = f"{len(matches)} Files were merged." if len(matches) > 1 else ""
        return Plan(
            targets=(0,), hashes=_union(*matches, incoming), removed=everything[1:], absorbed=everything[1:], note=note
        )
    return _collide(incoming, matches, collision_mode, with_incoming, among)


def _collide(
    incoming: Hashes, matches: Sequence[Hashes], mode: str, with_incoming: Sequence[int], among: Sequence[int]
) -> Plan:
    others = tuple(range(1, len(matches)))
    if mode == "Split":
        return Plan(targets=(0, *others))
    if mode == "IgnoreIncoming":
        return Plan(warning="The incoming File was ignored: its hashes conflict with an existing File.")
    if mode == "IgnoreExisting":
        if among:
            return Plan(
                created=incoming,
                removed=(0, *others),
                warning="The existing Files in conflict were deleted.",
            )
        # The hashes that belong to an existing File are stripped; what remains becomes a File (assumed). Something
        # always remains: a hash in conflict that another match has would put the two matches in conflict.
        taken = {value for match in matches for value in match if value}
        rest = tuple(value if value not in taken else None for value in incoming)
        warning = "The hashes of existing Files were removed from the incoming File."
        return Plan(created=rest, warning=warning)
    if mode == "FavorExisting":
        hashes, what = _union(*matches, incoming), "existing"
    else:
        hashes, what = _union(incoming, *matches), "incoming"
    named = _named(with_incoming) or "the hashes"
    return Plan(
        targets=(0,),
        hashes=hashes,
        removed=others,
        absorbed=others,
        warning=f"Conflicting hashes: kept the {what} {named}.",
    )
