"""Records as the JSON of V2 batch files, kind by kind, column by column: no Python object per record on the way.

Every module yields frames of :data:`COLUMNS`, sorted by identity, so that the same rows in any order give the same
bytes.
"""

from typing import Final, Literal

Kind = Literal["group", "indicator", "association", "file"]
"""What a record is; but for ``file`` also the key under which a batch file lists such records. A ``file`` record is
the content of a Document, Report or Signature, which goes to the platform by itself."""

COLUMNS: Final = ("json", "type", "summary", "xid", "origin")
"""A record's JSON, what dead letters call it (a group's summary is its name), its xid if it has one, its origin."""
