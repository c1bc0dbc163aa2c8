"""What a SIEM format is: lines made of frames, and options with names."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Final, Protocol, TypeVar

import msgspec
import polars as pl

from tcetl.errors import ConfigError


@dataclass(frozen=True)
class Encoded:
    """One frame as text.

    Attributes:
        text: What goes into the file, UTF-8, whole lines only.
        written: Records in it.
        skipped: Records left out, by reason.
        truncated: Values cut or left out because they exceed a limit, by field of the format.
    """

    text: bytes | memoryview
    written: int
    skipped: Mapping[str, int] = field(default_factory=dict)
    truncated: Mapping[str, int] = field(default_factory=dict)


class Format(Protocol):
    """One output format. Implementations are frozen dataclasses whose fields are the format's options."""

    columns: ClassVar[tuple[str, ...]]
    """The columns of INDICATORS that the format reads; others need not be there."""

    def header(self) -> bytes:
        """What stands before the first record; empty for most formats."""
        ...

    def encode(self, frame: pl.DataFrame) -> Encoded:
        """Turn a frame of INDICATORS rows into lines, in the frame's order."""
        ...


F = TypeVar("F", bound=Format)
_STRICT: Final = False  # options also come from a command line, as text: "false", "1"


def with_options(kind: type[F], name: str, options: Mapping[str, Any]) -> F:
    """Return the format *kind*, known as *name*, with *options*.

    Raises:
        ConfigError: An option is unknown or has no such value; the message names what is known.
    """
    known = [option.name for option in fields(kind)]  # type: ignore[arg-type] # a Protocol cannot say "dataclass"
    unknown = sorted(options.keys() - set(known))
    if unknown:
        raise ConfigError(
            f"format {name} has no option {', '.join(unknown)}", hint=f"its options are {', '.join(known) or 'none'}"
        )
    try:
        return msgspec.convert(dict(options), kind, strict=_STRICT)
    except msgspec.ValidationError as error:
        kinds = ", ".join(f"{option.name}: {option.type}" for option in fields(kind))  # type: ignore[arg-type]
        raise ConfigError(f"option of format {name}: {error}", hint=f"its options are {kinds}") from error
