"""Finding stored indicators by value."""

import sqlite3
from typing import Final

from tcetl.emulator.rules import Value

_FILES: Final = """
SELECT * FROM indicator WHERE id IN (
    SELECT id FROM indicator WHERE type = 'File' AND owner = ?1 AND value1 = ?2
    UNION SELECT id FROM indicator WHERE type = 'File' AND owner = ?1 AND value2 = ?3
    UNION SELECT id FROM indicator WHERE type = 'File' AND owner = ?1 AND value3 = ?4
) ORDER BY last_modified DESC, id
"""


def find(reader: sqlite3.Connection, owner: int, value: Value) -> list[sqlite3.Row]:
    """The indicators of *owner* that *value* names: at most one, but for Files every one that shares a hash.

    Files come most recently modified first.
    """
    if value.key is None:
        return reader.execute(_FILES, (owner, *value.parts)).fetchall()
    sql = "SELECT * FROM indicator WHERE owner = ? AND type = ? AND key = ?"
    return reader.execute(sql, (owner, value.kind.name, value.key)).fetchall()
