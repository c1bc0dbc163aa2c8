"""Packages whose names import their modules when they are first asked for, and no sooner.

What a job does not need, it does not wait for: HTTP, to read a file; fsspec, to write to a local disk.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def on_demand(package: str, module_of: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of *package*: it takes each name of *module_of* from that module of the package."""

    def get(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{module_of[name]}"), name)

    return get
