"""What is wrong with dead letters as somebody edited them: told all at once, in memory that does not grow with it."""

from dataclasses import dataclass
from typing import Any, Final

from tcetl.errors import LoadError
from tcetl.load.run import Run
from tcetl.load.spreadsheet import LETTER

_SHOWN: Final = 5


def unusable(run: Run, why: str) -> LoadError:
    """The error for an edited file that cannot be used, and *why*."""
    return LoadError(
        f"{run.rejects_text_path} cannot be used: {why}",
        hint="mend type and summary, or the record, of what the platform refused; or delete rows. To begin with it "
        f"anew, delete the file and run: tcetl batch resume {run.path}",
    )


@dataclass
class _Moves:
    """Tells whether values of one column only changed places among rows, in memory that does not grow with them."""

    rows: int = 0
    first: int = 0
    balance: int = 0  # of the hashes of new values over those of old ones: zero where both are the same values

    def add(self, line: int, now: str, was: str) -> None:
        self.first = min(self.first, line) if self.rows else line
        self.rows += 1
        self.balance += hash(now) - hash(was)

    @property
    def only(self) -> bool:
        return self.rows > 1 and self.balance == 0


class Problems:
    """Collects what is wrong with the file, by row, to tell all of it at once, or the first of it and how much."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._count = 0
        self._first: list[tuple[int, str]] = []
        self._moves = {"summary": _Moves(), "record": _Moves()}

    def add(self, row: dict[str, Any], why: str) -> None:
        """Note that *row* cannot be used, and *why*."""
        self._count += 1
        self._first = sorted([*self._first, (row["line"], why)])[:_SHOWN]

    def add_unknown(self, row: dict[str, Any]) -> None:
        """Note that *row* is of no dead letter."""
        self.add(row, f"there is no dead letter {row[LETTER]!r}; rows cannot be added")

    def add_change(self, row: dict[str, Any], name: str) -> None:
        """Note that *name* was changed in *row*, for columns that were sorted while the others were not."""
        if name in self._moves:
            self._moves[name].add(row["line"], row[name], row[f"{name}_was"])

    def raise_if_any(self) -> None:
        """Raise LoadError for what was found; a column sorted by itself comes first, since the rest follows from it."""
        for name, moves in self._moves.items():
            if moves.only:
                raise unusable(self._run, f"row {moves.first}: the column {name} was sorted without the others")
        if self._count:
            shown = [f"row {line}: {why}" for line, why in self._first]
            more = self._count - len(shown)
            raise unusable(self._run, "; ".join(shown) + (f"; and {more} more" if more else ""))
