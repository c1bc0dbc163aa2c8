"""Measure a process of its own, as the kernel has it."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """One process: wall and CPU seconds, imports included, and its peak resident memory."""

    seconds: float
    cpu_seconds: float
    peak_mib: float


def measure(script: str, *arguments: str, compiled: Path, **variables: str) -> Measured:
    """Run *script* with *arguments*, and *variables* in its environment.

    Python keeps the modules that it has compiled in the folder *compiled*, whatever the environment says, so that from
    the second run on they are read as they are where a package is installed.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPYCACHEPREFIX": str(compiled)} | variables
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, script, *arguments], env=environment) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments[:2])} ended with status {process.returncode}")
    return Measured(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
