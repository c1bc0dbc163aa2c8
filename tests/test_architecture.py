"""The layer table, held against every import: who may know whom.

A room is a package or module directly under ``tcetl/``. Imports inside functions and under ``TYPE_CHECKING`` count
too: a dependency is one wherever it is written.
"""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
PACKAGE = REPOSITORY / "tcetl"

FOUNDATION = {
    "ahead",
    "schema",
    "config",
    "groups",
    "indicators",
    "atomic",
    "errors",
    "on_demand",
    "reasons",
    "sorted_runs",
}
STAGES = {"client", "feeds", "transform", "catalogue", "load", "lake", "siem"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "schema": {"errors"},
    "groups": set(),
    "indicators": {"errors"},
    "config": {"errors"},
    "atomic": {"errors"},
    "ahead": set(),
    "sorted_runs": {"atomic"},
    "on_demand": set(),
    "reasons": set(),
    "client": {"schema", "config", "groups", "indicators", "errors", "on_demand", "reasons"},
    "feeds": {"schema", "groups", "indicators", "atomic", "errors", "reasons"},
    "transform": {"ahead", "schema", "indicators", "feeds", "errors"},
    "catalogue": {"feeds", "transform", "schema", "errors"},
    "load": {"ahead", "client", "schema", "groups", "indicators", "atomic", "errors", "sorted_runs"},
    "lake": {"ahead", "schema", "atomic", "errors", "sorted_runs"},
    "siem": {"ahead", "schema", "atomic", "errors"},
    "pipeline": FOUNDATION | STAGES,
    "airflow": FOUNDATION | STAGES | {"pipeline"},
    "demo": FOUNDATION | STAGES | {"pipeline", "airflow", "emulator"},
    "cli": FOUNDATION | STAGES | {"pipeline", "airflow", "demo", "emulator"},
    "emulator": set(),  # a second statement of the API, so not even errors
}
# Where packages of the optional extras may be imported: the core installs and runs without them.
OPTIONAL = {
    "airflow": {"airflow", "demo"},
    "defusedxml": {"feeds"},
    "openpyxl": {"feeds"},
    "pyzipper": {"feeds"},
    "starlette": {"emulator"},
    "uvicorn": {"emulator"},
    "trustme": {"emulator"},
    "python_multipart": {"emulator"},
}
VAGUE_NAMES = {"common", "helper", "helpers", "misc", "util", "utils"}
MOST_LINES = 500

MODULES = sorted(PACKAGE.rglob("*.py"))
each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(REPOSITORY)))


def room_of(path: Path) -> str:
    """The room that a module belongs to; the package's own ``__init__`` and ``__main__`` are faces, like the cli."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "cli" if parts[0].startswith("__") else parts[0]


def imports(path: Path) -> Iterator[str]:
    """Dotted names of everything that the module imports, relative and dynamic imports resolved."""
    package = path.relative_to(REPOSITORY).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = [*package[: len(package) - level + 1], *filter(None, [module])] if level else [module or ""]
                yield from (".".join([*base, alias.name]) for alias in names)
            case ast.Call(func=ast.Name(id="import_module" | "__import__"), args=[ast.Constant(value=str(name)), *_]):
                yield name
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name)), *_]):
                yield name


def rooms_imported(path: Path) -> set[str]:
    parts = (name.split(".") for name in imports(path))
    return {part[1] for part in parts if part[0] == "tcetl" and len(part) > 1}


@each_module
def test_a_room_imports_only_what_the_table_allows(path):
    room = room_of(path)

    # A name that is no room is an attribute of the package itself, such as its version.
    assert (rooms_imported(path) & MAY_IMPORT.keys()) - MAY_IMPORT[room] - {room} == set()


@each_module
def test_packages_of_extras_stay_in_their_rooms(path):
    roots = {name.split(".")[0] for name in imports(path)}
    misplaced = {root for root in roots & OPTIONAL.keys() if room_of(path) not in OPTIONAL[root]}

    assert misplaced == set()


@each_module
def test_modules_are_small_and_named_for_what_they_hold(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    assert not VAGUE_NAMES & set(path.relative_to(PACKAGE).with_suffix("").parts)


def test_the_emulator_knows_nothing_of_tcetl():
    emulator = [path for path in MODULES if room_of(path) == "emulator"]

    assert emulator
    for path in emulator:
        foreign = {name for name in imports(path) if name.split(".")[0] == "tcetl"}
        assert {name for name in foreign if not name.startswith("tcetl.emulator")} == set(), path


def test_every_room_is_in_the_table():
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}

    assert {room for room in rooms if not room.startswith("__")} <= MAY_IMPORT.keys()


def test_the_table_has_no_cycle():
    TopologicalSorter(MAY_IMPORT).prepare()


def test_the_walk_sees_every_kind_of_import(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "REPOSITORY", tmp_path)
    module = tmp_path / "tcetl" / "room" / "module.py"
    module.parent.mkdir(parents=True)
    module.write_text(
        "import a.b\n"
        "from c import d\n"
        "def later():\n"
        "    from . import sibling\n"
        "    from ..other.deep import thing\n"
        "    import_module('e.f')\n"
        "    importlib.import_module('g')\n"
    )

    assert set(imports(module)) == {"a.b", "c.d", "tcetl.room.sibling", "tcetl.other.deep.thing", "e.f", "g"}
