"""How every job tells how far it is, and what it takes for a path."""

import os
from collections.abc import Callable

OnProgress = Callable[[str, int, int | None], None]
"""Called with (stage, done, total or None) as a job goes on; the unit of done and total is the stage's own."""

AnyPath = str | os.PathLike[str]


def stage_progress(on_progress: OnProgress | None, stage: str) -> Callable[..., None] | None:
    """A room's own progress callback (done, or done and total) that reports as *stage*."""
    if on_progress is None:
        return None
    return lambda done, total=None, *_: on_progress(stage, done, total)
