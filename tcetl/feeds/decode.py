"""Lines that are not UTF-8: tell which old encoding they are in, and say so."""

from collections.abc import Sequence
from typing import Final

_MAC_BLANK: Final = 0xCA
"""A no-break space in Mac Roman; in Windows-1252 the letter E with a circumflex, which nobody appends to a value."""


class Decoder:
    """Decodes lines as UTF-8 and, line by line, what is not UTF-8 in an old encoding; counts the latter.

    Args:
        notes: What is known of the encoding already.
    """

    def __init__(self, notes: Sequence[str] = ()) -> None:
        self._notes = notes
        self.guessed: dict[str, int] = {}

    def lines(self, block: bytes) -> list[str]:
        """Return the lines of *block* without their ends."""
        try:
            return _split(block.decode())
        except UnicodeDecodeError:
            return [self._line(line) for line in block.removesuffix(b"\n").split(b"\n")]

    def notes(self) -> Sequence[str]:
        """Return what was known, and one sentence per old encoding met."""
        return [
            *self._notes,
            *(
                f"{count} lines are not UTF-8 and were read as {encoding}"
                for encoding, count in sorted(self.guessed.items())
            ),
        ]

    def _line(self, line: bytes) -> str:
        line = line.removesuffix(b"\r")
        try:
            return line.decode()
        except UnicodeDecodeError:
            encoding = legacy_encoding(line)
            self.guessed[encoding] = self.guessed.get(encoding, 0) + 1
            return line.decode(encoding, errors="replace")


def legacy_encoding(line: bytes) -> str:
    """Return the encoding that makes most sense of *line*, which is not UTF-8: ``mac-roman`` or ``cp1252``.

    Mac Roman is told by its no-break space: byte 0xCA where a word ends, and no other byte beyond ASCII there.
    """
    high = {byte for byte in line if byte > 0x7F}
    ends_word = all(not line[at + 1 : at + 2].isalpha() for at, byte in enumerate(line) if byte == _MAC_BLANK)
    return "mac-roman" if high == {_MAC_BLANK} and ends_word else "cp1252"


def _split(text: str) -> list[str]:
    lines = text.removesuffix("\n").split("\n")
    return [line.removesuffix("\r") for line in lines] if "\r" in text else lines
