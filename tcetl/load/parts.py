"""A load cut into parts for several workers: neighbouring chunks, named by the first and the last number of them.

The chunks of a part are of one wave. A part is a few characters (``7``, ``0-3``) beside the path of the run directory,
so it travels where data must not.
"""

import re
from itertools import pairwise
from typing import Final

from tcetl.errors import LoadError
from tcetl.load.run import Run

MAX_PARTS: Final = 256
"""Most parts unless told otherwise: as JSON their names stay under 4 KiB."""

_FORM: Final = re.compile(r"(\d+)(?:-(\d+))?")


def parts(run: Run, wave: int, most: int = MAX_PARTS) -> list[str]:
    """Return the names of the parts of one *wave* of *run*, as even as can be; none when it has no chunks.

    Args:
        run: A planned load.
        wave: One of :data:`tcetl.load.WAVES`: the parts of a wave are for when those of the waves before have ended.
        most: Most parts.

    Raises:
        LoadError: *most* is less than 1.
    """
    if most < 1:
        raise LoadError(f"max_parts is {most}", hint="at least one worker must take the chunks")
    numbers = [chunk.chunk for chunk in run.chunks if chunk.wave == wave]  # neighbours: a plan has wave after wave
    number = min(most, len(numbers))
    edges = [numbers[0] + len(numbers) * part // number for part in range(number + 1)] if number else []
    return [str(start) if end - start == 1 else f"{start}-{end - 1}" for start, end in pairwise(edges)]


def chunks_of(part: str) -> range:
    """Return the numbers of the chunks of *part*.

    Raises:
        LoadError: It is no part's name.
    """
    match = _FORM.fullmatch(part.strip())
    if match is None or int(match[2] or match[1]) < int(match[1]):
        raise LoadError(f"{part!r} names no chunks", hint="use a number such as 7, or first and last such as 0-3")
    return range(int(match[1]), int(match[2] or match[1]) + 1)
