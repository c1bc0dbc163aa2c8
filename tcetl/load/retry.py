"""A second try for exactly the records of a load that were refused or left, as a run of its own.

What depends on a group that is sent again, its associations and its file, goes in a later wave again.

The new run is linked to its parent by path, and its counts begin where the parent's end::

    parent: failed + unprocessed = child: rejected (removed by hand, unattributed) + duplicates + sent
"""

from tcetl.errors import LoadError
from tcetl.load.chain import Link, read_link, write_link
from tcetl.load.mending.edits import digest
from tcetl.load.mending.mends import write_mends
from tcetl.load.owed import Owed, owed_by
from tcetl.load.plan import MAX_BYTES, MAX_RECORDS, write_plan
from tcetl.load.run import Run
from tcetl.load.storage import AnyPath, RunPath, full_name, locate, make_folder


def retry(
    run_dir: AnyPath,
    new_run_dir: AnyPath | None = None,
    *,
    max_records: int = MAX_RECORDS,
    max_bytes: int = MAX_BYTES,
) -> Run:
    """Plan a run of the records of *run_dir* that were not loaded, and return it; nothing is sent.

    Where ``rejects.csv`` of *run_dir* was edited since the load ended, it says what becomes of each record; see
    :mod:`tcetl.load.mending.edits`. Asking again for the same *new_run_dir* returns the run planned there.

    Args:
        run_dir: A finished load.
        new_run_dir: Folder to make for the new one; when None, that of the retry begun already, or else one beside
            *run_dir*: ``monday`` is retried in ``monday-retry-1``, and that in ``monday-retry-2``.
        max_records: Most records in a chunk.
        max_bytes: Most bytes in a chunk.

    Raises:
        LoadError: The load is not finished, all of it was loaded, it is being retried elsewhere, or the edits cannot
            be used or came too late. Nothing is planned.
    """
    parent = Run.open(run_dir)
    with parent.exclusive():
        path, edited = _where(parent, new_run_dir), _digest(parent)
        if (begun := _begun(parent, path, edited)) is not None:
            return begun
        with owed_by(parent) as owed:
            write_link(parent, Link(full_name(path), edited))
            return _plan(parent, owed, path, max_records, max_bytes)


def rehearse(run_dir: AnyPath, scratch: AnyPath, *, max_records: int = MAX_RECORDS, max_bytes: int = MAX_BYTES) -> Run:
    """Plan in *scratch* what `retry` would send, and return that; or the retry itself where it is planned already.

    *run_dir* is left as it is.

    Raises:
        LoadError: The load is not finished, all of it was loaded, or the edits cannot be used or came too late.
    """
    parent = Run.open(run_dir)
    if (begun := _begun(parent, _where(parent, None), _digest(parent))) is not None:
        return begun
    with owed_by(parent) as owed:
        return _plan(parent, owed, locate(scratch), max_records, max_bytes)


def _where(parent: Run, new_run_dir: AnyPath | None) -> RunPath:
    """The folder that *parent* is, or is to be, retried in."""
    parent.report()  # or it is not finished
    link = read_link(parent)
    path = locate(new_run_dir if new_run_dir is not None else link.run_dir if link else _beside(parent.path))
    if link and link.run_dir != full_name(path) and Run.is_planned(link.run_dir):
        raise LoadError(
            f"{parent.path} is already retried in {link.run_dir}",
            hint=f"go on there (tcetl batch status {link.run_dir}), or retry that run",
        )
    return path


def _digest(parent: Run) -> str:
    return digest(parent.rejects_text_path) if parent.rejects_text_path.exists() else ""


def _begun(parent: Run, path: RunPath, edited: str) -> Run | None:
    """The retry of *parent* planned at *path*, if it is."""
    if not Run.is_planned(path):
        return None
    link = read_link(parent)
    if link and link.rejects_sha256 != edited:
        raise LoadError(
            f"{parent.rejects_text_path} was changed after its records had gone over to {path}",
            hint=f"mend what {path} does not load in its own rejects.csv (tcetl batch status {path})",
        )
    return _own(path, parent)


def _plan(parent: Run, owed: Owed, path: RunPath, max_records: int, max_bytes: int) -> Run:
    make_folder(path)
    write_mends(path, owed.mends)
    return write_plan(
        owed.letters,
        owed.aside,
        path,
        settings=parent.settings,
        counts=owed.counts,
        max_records=max_records,
        max_bytes=max_bytes,
        parent=full_name(parent.path),
    )


def _beside(path: RunPath) -> RunPath:
    """The folder that *path* is retried in unless told otherwise."""
    stem, mark, number = path.name.rpartition("-retry-")
    if not (mark and number.isdecimal()):
        stem, number = path.name, "0"
    return path.parent / f"{stem}-retry-{int(number) + 1}"


def _own(path: RunPath, parent: Run) -> Run:
    run = Run.open(path)
    if run.plan.parent != full_name(parent.path):
        raise LoadError(f"{path} already holds another load", hint="retry in a new directory")
    return run
