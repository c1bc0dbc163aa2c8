"""Where a record stood goes with it: into its origin, its reject, and the reason why it was merged."""

from dataclasses import dataclass

import polars as pl
import pytest

from tcetl.feeds import RawBatch
from tcetl.feeds.base import Malformed, reject_table
from tcetl.transform import normalise


@dataclass
class Given:
    """A feed of one frame, as a reader of a structured standard would give it."""

    rows: list[dict[str, object]]
    rejects: tuple[Malformed, ...] = ()
    name: str = "given"
    file: str = "folder"
    format: str = "given"
    notes: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()

    @property
    def columns(self):
        return [name for name in self.rows[0] if not name.startswith("_")]

    def batches(self):
        for half in (self.rows[::2], self.rows[1::2]):
            frame = pl.DataFrame(half, schema_overrides={"_row": pl.Int64})
            yield RawBatch(frame, reject_table(self.rejects, source=self.name, file=self.file))


ROWS = [
    {"type": "domain", "value": "a.example", "_row": 1, "_pointer": "/objects/0", "_file": "a.json"},
    {"type": "domain", "value": "A.example", "_row": 1, "_pointer": "/objects/0", "_file": "b.json"},
    {"type": "domain", "value": "-", "_row": 2, "_pointer": None, "_file": "b.json"},
    {"type": "mutex", "value": "Global\\x", "_row": 3, "_pointer": "/objects/2", "_file": "b.json"},
]


@pytest.mark.parametrize("order", [1, -1])
def test_pointer_and_file_reach_origin_and_rejects(order):
    result = normalise(Given(ROWS[::order]), owner="O")
    places = {
        one["summary"]: (one["origin"]["file"], one["origin"]["row"], one["origin"]["pointer"])
        for one in result.indicators.to_pylist()
    }
    assert places == {"a.example": ("a.json", 1, "/objects/0"), "Global\\x": ("b.json", 3, "/objects/2")}
    bad, again = sorted(result.rejects.to_pylist(), key=lambda one: -one["row"])
    assert (bad["stage"], bad["file"], bad["row"], bad["pointer"]) == ("normalise", "b.json", 2, None)
    assert (again["stage"], again["file"], again["row"], again["pointer"]) == ("duplicate", "b.json", 1, "/objects/0")
    assert "row 1 at /objects/0 of a.json" in again["reason"]


def test_records_that_the_standard_withdraws_are_counted_as_no_error():
    withdrawn = Malformed(9, "b.example", "revoked", "the bundle revokes it", pointer="indicator--1", severity="info")
    result = normalise(Given([ROWS[0], ROWS[3]], (withdrawn,)), owner="O")
    assert result.counts.rows_read == 4
    assert result.counts.rejected == {"revoked": 2}
    reject = result.rejects.to_pylist()[0]
    assert (reject["file"], reject["row"], reject["pointer"]) == ("folder", 9, "indicator--1")
    assert (reject["code"], reject["severity"]) == ("revoked", "info")


def test_declared_types_need_no_value_with_a_shape():
    result = normalise(Given([ROWS[3], ROWS[3] | {"_row": 4, "value": "other"}]), owner="O")
    assert result.indicators["type"].to_pylist() == ["Mutex", "Mutex"]
