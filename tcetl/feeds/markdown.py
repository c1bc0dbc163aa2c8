"""The marks by which Markdown is told from lists and tables of values."""

import re
from collections.abc import Sequence
from typing import Final

FENCE: Final = re.compile(r"\s{0,3}(?:[-*+]\s+)?(?:```|~~~)")
"""A line that begins or ends a block of text to be shown as it is."""

_RULE: Final = re.compile(r"\s*\|?(?:\s*:?-{3,}:?\s*\|)+(?:\s*:?-{3,}:?\s*)?")  # parts a table's head from its body


def is_markdown(lines: Sequence[str]) -> bool:
    """Tell whether *lines* have marks of Markdown that no list and no table of values has: fences, tables' rules."""
    return any(FENCE.match(line) or _RULE.fullmatch(line) for line in lines)
