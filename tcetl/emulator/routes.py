"""Route patterns, as faults and journal queries name them."""

import re
from functools import lru_cache


@lru_cache(maxsize=256)
def _expression(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", pattern)
    translated = {"**": ".*", "*": "[^/]*"}
    return re.compile("".join(translated.get(part, re.escape(part)) for part in parts))


def matches(pattern: str, path: str) -> bool:
    """Whether *path* (still encoded, without /api) fits: ``*`` stands for one segment, ``**`` for anything."""
    return _expression(pattern).fullmatch(path) is not None
