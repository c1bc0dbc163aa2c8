"""The Traffic Light Protocol: how far what a feed says may be shared.

Source: FIRST, TLP 2.0; of 1.0 the level WHITE, which is CLEAR now.
"""

import re
from collections.abc import Iterable
from typing import Final

LEVELS: Final = ("CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED")
"""The levels, from what everybody may know to what stays in the room."""

_LABEL: Final = re.compile(r"tlp[\s:_-]*(clear|white|green|amber(?:[\s+_-]*strict)?|red)", re.IGNORECASE)


def level_of(label: str) -> str:
    """Return the level that a label or tag names (``tlp:amber``, ``TLP WHITE``), or the empty text."""
    found = _LABEL.fullmatch(label.strip())
    if not found:
        return ""
    name = found[1].upper()
    return "AMBER+STRICT" if name.endswith("STRICT") else name.replace("WHITE", "CLEAR")


def strictest(levels: Iterable[str]) -> str:
    """Return the level that allows the least sharing, or the empty text when there is none."""
    return max(filter(None, levels), key=LEVELS.index, default="")
