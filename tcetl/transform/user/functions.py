"""A user's function as a transform, and how one is found by its name."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, overload

from tcetl.errors import TransformError

if TYPE_CHECKING:
    import pandas as pd

Function = Callable[..., "pd.DataFrame"]
Stage = Literal["feed", "indicators"]


@dataclass(eq=False)
class Transform:
    """A function from DataFrame to DataFrame, and where it stands; calling it calls the function.

    Attributes:
        function: What is called with each batch.
        on: ``feed``: it sees the feed's rows as they were read; ``indicators``: the unique indicators at the end.
        columns: What it needs to see; all columns when None.
    """

    function: Function
    on: Stage = "feed"
    columns: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        update_wrapper(self, self.function)

    @property
    def name(self) -> str:
        """What the function is called in messages and rejects."""
        return str(getattr(self.function, "__qualname__", repr(self.function)))

    def __call__(self, *args: Any, **kwargs: Any) -> "pd.DataFrame":
        """Call the function, as its tests do."""
        return self.function(*args, **kwargs)


@overload
def transform(function: Function, /) -> Transform: ...
@overload
def transform(*, on: Stage = "feed", columns: Sequence[str] | None = None) -> Callable[[Function], Transform]: ...


def transform(
    function: Function | None = None, /, *, on: Stage = "feed", columns: Sequence[str] | None = None
) -> Transform | Callable[[Function], Transform]:
    """Make a function from DataFrame to DataFrame a transform; a decorator, with or without arguments.

    Args:
        function: The function.
        on: ``feed``: see the feed's rows as they were read, under the feed's own column names, all text. Columns that
            are added under a name of INDICATORS (``confidence``, ``tags``, ``description`` …) are taken as that.
            ``indicators``: see the valid, unique indicators at the end, under the names of INDICATORS.
        columns: What the function needs to see; the others never become pandas.
    """
    if on not in ("feed", "indicators"):
        raise ValueError(f"on is 'feed' or 'indicators', not {on!r}")

    def made(function: Function) -> Transform:
        return Transform(function, on, None if columns is None else tuple(columns))

    return made if function is None else made(function)


def as_transform(given: "Transform | Function | str") -> Transform:
    """Return a transform for whatever users may name one by: itself, a plain function, or ``module:function``."""
    if isinstance(given, Transform):
        return given
    if isinstance(given, str):
        return load_transform(given)
    if not callable(given):
        raise TransformError(f"{given!r} is no transform", hint="give a function, or 'module:function'")
    return Transform(given)


def load_transform(name: str) -> Transform:
    """Return the transform called *name*: ``module:function``, or ``path/to/file.py:function``.

    Modules are looked for in the present folder too.

    Raises:
        TransformError: There is no such module, file or function, or importing it failed; the message says which.
    """
    where, colon, attribute = name.rpartition(":")
    if not colon or not where or not attribute:
        raise TransformError(f"'{name}' names no transform", hint="write module:function, or path/to/file.py:function")
    try:
        module = _load_file(Path(where)) if where.endswith(".py") else _import(where)
    except Exception as error:  # whatever importing a user's module can raise
        raise TransformError(
            f"the module of transform '{name}' cannot be imported: {type(error).__name__}: {error}",
            hint="is it in this folder, or installed?",
        ) from error
    found = getattr(module, attribute, None)
    if found is None:
        raise TransformError(f"{where} has no function '{attribute}'", hint="check the name behind the colon")
    return as_transform(found)


def _import(module: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # last: a file here must not stand in for an installed module
    return import_module(module)


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
