"""Polars frames as Arrow tables of the waist's schemas."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import polars as pl
import pyarrow as pa

from tcetl.feeds import FILE, POINTER, ROW, Feed
from tcetl.schema import FILE_OCCURRENCES, INDICATORS, ORIGIN, REJECTS, empty_table
from tcetl.transform.cells.attributes import attribute_column
from tcetl.transform.cells.tags import TOO_LONG, tag_column
from tcetl.transform.cells.tlp import label_column
from tcetl.transform.notes import Notes

_ROWS: Final = 65_536
_PLACES: Final = {ROW: "row", POINTER: "pointer", FILE: "file"}
# Digits of each hash and, by the length of the whole summary of a File (md5 : sha1 : sha256, of which some), its place.
_HASHES: Final = {
    "md5": (32, {32: 0, 75: 0, 99: 0, 142: 0}),
    "sha1": (40, {40: 0, 75: 35, 107: 0, 142: 35}),
    "sha256": (64, {64: 0, 99: 35, 107: 43, 142: 78}),
}


class Tables:
    """Makes the tables of one feed; columns that are the same in every row are made once and shared."""

    def __init__(self, feed: Feed, owner: str, notes: Notes) -> None:
        self._feed = feed
        self._notes = notes
        self._owner = owner
        self._constants: dict[tuple[str, object], pa.Array] = {}

    def indicators(
        self,
        rows: pl.DataFrame,
        *,
        rating: float | None,
        confidence: int | None,
        tags: Sequence[str],
        attributes: Mapping[str, str],
    ) -> list[pa.RecordBatch]:
        """Return merged *rows* of one type as INDICATORS; *rating* and *confidence* stand in where a row has none."""
        defaults = {"rating": pl.lit(rating, dtype=pl.Float64), "confidence": pl.lit(confidence, dtype=pl.Int32)}
        made = [
            (pl.col(name).fill_null(default) if name in rows.columns else default).alias(name)
            for name, default in defaults.items()
        ]
        if rows["type"][0] == "File":
            made += [_hash(digits, places).alias(name) for name, (digits, places) in _HASHES.items()]
        return [self._indicators(piece, tags, attributes) for piece in rows.with_columns(made).iter_slices(_ROWS)]

    def _indicators(self, frame: pl.DataFrame, tags: Sequence[str], attributes: Mapping[str, str]) -> pa.RecordBatch:
        cells = frame["tags"] if "tags" in frame.columns else pl.repeat("", frame.height, eager=True)
        listed, too_long = tag_column(cells, tags)
        self._notes.add_count(TOO_LONG, len(too_long))
        made = {
            "owner_name": self._constant(self._owner, pa.string(), frame.height),
            "tags": listed,
            "origin": self._origin(frame),
        }
        if attributes:
            made["attributes"] = attribute_column(frame, attributes)
        if "tlp" in frame.columns:
            made["security_labels"] = label_column(frame["tlp"])
        return self._batch(frame, INDICATORS, made)

    def occurrences(self, rows: pl.DataFrame) -> pa.Table:
        """Return the FILE_OCCURRENCES of *rows* before merging, each once, with the first row that says it."""
        keys = [name for name in ("file_name", "path", "found") if name in rows.columns]
        if not keys:
            return empty_table(FILE_OCCURRENCES)
        said = (pl.col("type") == "File") & pl.any_horizontal(pl.col(name).is_not_null() for name in keys)
        found = rows.filter(said).sort("summary", *keys, ROW)
        once = found.unique(["summary", *keys], keep="first", maintain_order=True).rename(
            {"found": "date"}, strict=False
        )
        batches = [
            self._batch(piece, FILE_OCCURRENCES, {"origin": self._origin(piece)}) for piece in once.iter_slices(_ROWS)
        ]
        return pa.Table.from_batches(batches, schema=FILE_OCCURRENCES)

    def rejects(self, frame: pl.DataFrame, **constants: str | None) -> pa.Table:
        """Return rows with ``raw``, their place and any further columns of REJECTS.

        *constants* stand in every row of a frame that does not have them as columns.
        """
        constants |= {"source": self._feed.name, "owner_name": self._owner}
        if FILE not in frame.columns:
            constants["file"] = self._feed.file
        constants = {name: value for name, value in constants.items() if name not in frame.columns}
        batches = []
        for piece in frame.rename(_PLACES, strict=False).iter_slices(_ROWS):
            made = {name: self._constant(value, pa.string(), piece.height) for name, value in constants.items()}
            batches.append(self._batch(piece, REJECTS, made))
        return pa.Table.from_batches(batches, schema=REJECTS)

    def _batch(self, frame: pl.DataFrame, schema: pa.Schema, made: Mapping[str, pa.Array]) -> pa.RecordBatch:
        columns = []
        for field in schema:
            if field.name in made:
                column = made[field.name]
            elif field.name in frame.columns:
                column = _arrow(frame[field.name], field.type)
            else:
                column = self._constant(None, field.type, frame.height)
            columns.append(column)
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    def _constant(self, value: str | None, kind: pa.DataType, rows: int) -> pa.Array:
        """The *value* in every one of at most `_ROWS` rows; for None nulls, or empty lists where the type is a list."""
        key = str(kind), value
        if key not in self._constants:
            if value is not None:
                self._constants[key] = _arrow(pl.repeat(value, _ROWS, dtype=pl.String, eager=True), kind)
            elif pa.types.is_list(kind):
                offsets = _arrow(pl.zeros(_ROWS + 1, dtype=pl.Int32, eager=True), pa.int32())
                self._constants[key] = pa.ListArray.from_arrays(offsets, pa.nulls(0, kind.value_type), type=kind)
            else:
                self._constants[key] = pa.nulls(_ROWS, kind)
        return self._constants[key][:rows]

    def _origin(self, frame: pl.DataFrame) -> pa.Array:
        file, pointer = (
            _arrow(frame[name], pa.string())
            if name in frame.columns
            else self._constant(value, pa.string(), frame.height)
            for name, value in ((FILE, self._feed.file), (POINTER, None))
        )
        parts = [
            self._constant(self._feed.name, pa.string(), frame.height),
            file,
            _arrow(frame[ROW], pa.int64()),
            pointer,
            _arrow(frame["raw"], pa.string()),
        ]
        return pa.StructArray.from_arrays(parts, fields=list(ORIGIN))


def _hash(digits: int, places: Mapping[int, int]) -> pl.Expr:
    summary = pl.col("summary")
    place = summary.str.len_bytes().replace_strict(places, default=None, return_dtype=pl.UInt32)
    return pl.when(place.is_not_null()).then(summary.str.slice(place, digits).str.to_lowercase())


def _arrow(series: pl.Series, kind: pa.DataType) -> pa.Array:
    plain = series.cast(pl.String) if isinstance(series.dtype, pl.Enum) else series
    return cast(Any, plain.to_arrow(compat_level=pl.CompatLevel.oldest())).cast(kind)
