"""The files of groups, kept on the disk (api §3.3)."""

from pathlib import Path

from tcetl.emulator.store import Store


class GroupFiles:
    """One file per group below *directory*."""

    def __init__(self, store: Store, directory: Path) -> None:
        self._store = store
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def path(self, group: int) -> Path:
        """Where the file of a group is, or would be."""
        return self._directory / str(group)

    def size(self, group: int) -> int | None:
        """Bytes of the file of a group; None when it has none."""
        row = self._store.row("SELECT size FROM group_file WHERE id = ?", group)
        return None if row is None else int(row["size"])

    def keep(self, group: int, received: Path, now: str) -> None:
        """Make *received* the file of a group."""
        size = received.stat().st_size
        received.replace(self.path(group))
        with self._store.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO group_file VALUES (?, ?)", (group, size))
            connection.execute('UPDATE "group" SET last_modified = ? WHERE id = ?', (now, group))

    def clear(self) -> None:
        """Forget all files."""
        for path in self._directory.iterdir():
            path.unlink()
