"""Go on with a load and be killed (SIGKILL) at one moment: ``killed_load.py RUN MOMENT NTH`` (connection in TC_*).

A moment is ``before`` or ``after`` and the name of an API call (``create``, ``upload``, ``file upload``…) or of a file
written.
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tcetl.client import ThreatConnect
from tcetl.load import Run, submit

CALLS = ("create", "upload", "status", "errors", "results")


def mortal(act: Callable[..., Any], name: Callable[..., str], fatal: str, nth: int) -> Callable[..., Any]:
    seen: Counter[str] = Counter()

    def tick(moment: str) -> None:
        seen[moment] += 1
        if moment == fatal and seen[moment] == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrapped(*args: Any, **options: Any) -> Any:
        tick(f"before {name(*args)}")
        answer = act(*args, **options)
        tick(f"after {name(*args)}")
        return answer

    return wrapped


def main(run_dir: str, fatal: str, nth: int) -> None:
    modules = [sys.modules["tcetl.load.run"], sys.modules["tcetl.load.finish"]]
    real = modules[0].write_whole
    for module in modules:
        module.write_whole = mortal(real, lambda path, content: f"{path.parent.name}/{path.name}", fatal, nth)
    with ThreatConnect() as tc:
        for call in CALLS:
            setattr(tc.batch, call, mortal(getattr(tc.batch, call), lambda *_, call=call: call, fatal, nth))
        for call in ("size", "upload"):
            setattr(tc.files, call, mortal(getattr(tc.files, call), lambda *_, call=call: f"file {call}", fatal, nth))
        submit(tc, Run.open(Path(run_dir)), max_errors=1000)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
