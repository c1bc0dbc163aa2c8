"""One clear line for everything that can go wrong, and the exit codes of the command."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer
from rich.console import Console
from rich.markup import escape

from tcetl.errors import ConfigError, RejectedRecordsError, TcetlError, mend_of

FAILED: Final = 1
"""The job failed."""
USAGE: Final = 2
"""The command was called wrongly: an option or a connection setting is missing or makes no sense."""
REJECTED: Final = 3
"""The job ran to its end, but the platform refused more records than ``--max-errors`` allows."""
INTERRUPTED: Final = 130
"""Ctrl-C, as shells count it."""

# Modules that come with an extra, and the extra that brings them and all else the demo needs.
_EXTRAS: Final = {
    "airflow": "demo",
    "jinja2": "demo",
    "matplotlib": "demo",
    "multipart": "emulator",
    "python_multipart": "emulator",
    "starlette": "emulator",
    "trustme": "emulator",
    "uvicorn": "emulator",
}


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn what tcetl, the disk or the user raised into ``error: …`` and ``hint: …`` lines and an exit code."""
    try:
        yield
    except TcetlError as error:
        _print(error.message, error.hint)
        raise typer.Exit(_code(error)) from None
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        _print(f"this command needs {error.name}, which is not installed", f"pip install 'tcetl[{extra}]'")
        raise typer.Exit(FAILED) from None
    except BrokenPipeError:
        raise  # the reader of a pipe went away: typer ends quietly
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        where = f"{error.filename}: " if error.filename is not None else ""
        _print(f"{where}{error.strerror or error}", mend_of(error))
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        _print("interrupted", "")
        raise typer.Exit(INTERRUPTED) from None


def _code(error: TcetlError) -> int:
    if isinstance(error, RejectedRecordsError):
        return REJECTED
    return USAGE if isinstance(error, ConfigError) else FAILED


def _print(message: str, hint: str) -> None:
    # soft_wrap: the terminal breaks long lines, so that paths can be copied and logs keep one line per error.
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(f"[bold red]error:[/] {escape(message)}")
    if hint:
        console.print(f"[bold cyan]hint:[/] {escape(hint)}")
