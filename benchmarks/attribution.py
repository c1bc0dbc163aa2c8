"""Measure how many errors of the platform find the row that they are about, and that none finds a wrong one.

    python benchmarks/attribution.py --rows 100000 --bad 500 --seed 1

A load of indicators, groups and associations goes to the emulator, with bad rows among them for every code of the
batch API: by what they are where that is enough (an excluded host, a Host that is none, an association that leads
nowhere, a File that collides), by the fault ``job_refuses`` where it is not. 0x1007 comes from a load that deletes, and
0x1008 from one with more indicators than a job may have. Which row is bad, and why, the generator knows; it is held
against the dead letters. Beside bad rows there are good ones whose values contain theirs. Then the dead letters are
mended in ``rejects.csv``, and the retry must send exactly the records that were not loaded, and load them all.
"""

import argparse
import csv
import io
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from tcetl.client import BatchSettings, ThreatConnect
from tcetl.emulator import Emulator, run_emulator
from tcetl.errors import RejectedRecordsError
from tcetl.load import Run, plan, retry, submit
from tcetl.schema import ASSOCIATIONS, GROUPS, INDICATORS, REJECTS

OWNER: Final = "Demo Source"
ELSEWHERE: Final = "Demo Community"
LIMIT: Final = 30  # indicators a job may have, for 0x1008
_THREATS: Final = 20
_LISTS: Final[dict[str, list[Any]]] = {"tags": [], "attributes": [], "security_labels": []}
_SPREAD: Final = (
    "0x1001",
    "0x1002",
    "0x1005",
    "0x1006",
    "0x1009",
    "0x100A",
    "0x100B",
    "0x2001",
    "0x2002",
    "0x2003",
    "0x3001",
)

Place = tuple[str, int]  # file and row


@dataclass
class Case:
    """The rows of one load and, for each bad one, its code: the truth, which nothing of tcetl's had a hand in."""

    indicators: list[dict[str, Any]] = field(default_factory=list)
    groups: list[dict[str, Any]] = field(default_factory=list)
    associations: list[dict[str, Any]] = field(default_factory=list)
    before: list[dict[str, Any]] = field(default_factory=list)  # there before the load
    refuse: dict[str, str] = field(default_factory=dict)  # for the fault
    truth: dict[Place, str] = field(default_factory=dict)

    def add(self, rows: list[dict[str, Any]], row: dict[str, Any], code: str = "") -> None:
        """Add *row* to *rows*, one of this case's three lists; a bad one with its *code*."""
        name = {id(self.indicators): "indicators", id(self.groups): "groups"}.get(id(rows), "associations")
        origin = {"source": "generated", "file": f"{name}.csv", "row": len(rows) + 1, "raw": "raw"}
        rows.append(row | {"origin": origin})
        if code:
            self.truth[f"{name}.csv", len(rows)] = code

    @property
    def lost(self) -> set[Place]:
        """The rows that are not loaded; those with a warning or a note are."""
        return {place for place, code in self.truth.items() if code.startswith("0x1")}


def indicator(kind: str, summary: str, **columns: Any) -> dict[str, Any]:
    """A row of INDICATORS."""
    return _LISTS | {"owner_name": OWNER, "type": kind, "summary": summary} | columns


def group(kind: str, name: str, xid: str, **columns: Any) -> dict[str, Any]:
    """A row of GROUPS."""
    return _LISTS | {"type": kind, "name": name, "xid": xid} | columns


def association(xid: str, **other: Any) -> dict[str, Any]:
    """A row of ASSOCIATIONS of a Threat and something else."""
    return {"type_1": "Threat", "ref_1": xid, **other}


def generate(rows: int, bad: int, seed: int, stranger: int) -> Case:
    """Return a load of *rows*, *bad* of them bad; *stranger* is the id of an indicator that is another owner's."""
    chance = random.Random(seed)
    case = Case()
    codes = [code for code, _ in zip(_cycle(_SPREAD), range(bad - 2), strict=False)]
    good = rows - bad - sum(code in {"0x1001", "0x1005", "0x100A"} for code in codes)  # they bring a good one along
    kinds = chance.choices(["indicator", "group", "association"], [94, 3, 3], k=good)
    todo = [*codes, *kinds]
    chance.shuffle(todo)
    for number, what in enumerate(todo):
        _add(case, what, number, chance, stranger)
    # What ends a job comes last in it, for what stands behind it would be unprocessed and have no error of its own.
    case.add(case.indicators, indicator("User Agent", "zzzz last"), "0x1004")
    case.add(case.groups, group("Vulnerability", "zzzz last", "zzzz"), "0x1003")
    case.refuse |= {"zzzz last": "0x1004", "zzzz": "0x1003"}
    case.before += [{"name": f"Threat {n}", "type": "Threat", "xid": f"threat-{n}"} for n in range(_THREATS)]
    return case


def _cycle(codes: tuple[str, ...]) -> Iterator[str]:
    while True:
        yield from codes


def _add(case: Case, what: str, n: int, chance: random.Random, stranger: int) -> None:  # noqa: C901, PLR0912
    """Add one row that is *what*: good of a kind, or bad with a code."""
    hosts, groups, pairs = case.indicators, case.groups, case.associations
    digits = f"{n:08x}"
    match what:
        case "indicator":
            kind, value = chance.choice(
                [("Host", f"h{n}.example"), ("URL", f"http://h{n}.example/{n}"), ("Mutex", f"is not a valid Host. {n}")]
            )
            case.add(hosts, indicator(kind, value, confidence=n % 100))
        case "group":
            case.add(groups, group("Incident", f"Incident {n}", f"incident-{n}", status="New"))
        case "association":
            case.add(pairs, association(f"threat-{n % _THREATS}", type_2="Incident", ref_2=f"there-{n}"))
            case.before.append({"name": f"There {n}", "type": "Incident", "xid": f"there-{n}"})
        case "0x1001":
            name = f"b{n}.excluded.example"
            case.add(hosts, indicator("Host", name), what)
            # Good ones that contain it, and so must not be taken for it.
            case.add(hosts, indicator("URL", f"http://{name}/{n}"))
        case "0x1002" | "0x1009":
            # Each from a group of its own, so that mended alike they are not one association.
            other = {"id_2": stranger} if what == "0x1002" else {"ref_2": f"nowhere-{n}.example"}
            case.add(pairs, association(f"threat-own-{n}", type_2="Host", **other), what)
            case.before.append({"name": f"own {n}", "type": "Threat", "xid": f"threat-own-{n}"})
        case "0x1005":
            kind, value = chance.choice([("Host", f"no host {n}"), ("Address", f"192.0.{n}"), ("File", f"f{digits}")])
            case.add(hosts, indicator(kind, value, confidence=n % 100), what)
            case.add(hosts, indicator("Mutex", f"{value} is not valid"))
        case "0x1006":
            case.add(groups, group("Incident", f"Incident {n}", f"incident-{n}", status="Nonsense"), what)
        case "0x100A":
            case.add(hosts, indicator("Host", f"twice-{n}.example"), what)
            case.add(hosts, indicator("Host", f"x.twice-{n}.example"))
            case.refuse[f"twice-{n}.example"] = what
        case "0x100B":
            case.add(groups, group("Document", f"Document {n}", f"document-{n}", file_name="a.txt"), what)
            case.refuse[f"document-{n}"] = what
        case "0x2001":
            unknown = {"type": "No Such Attribute", "value": "x"}
            case.add(hosts, indicator("Host", f"partly-{n}.example", attributes=[unknown]), what)
        case "0x2002":
            unknown = {"type": "No Such Attribute", "value": "x"}
            case.add(groups, group("Incident", f"Incident {n}", f"incident-{n}", attributes=[unknown]), what)
        case "0x2003":
            md5 = f"{digits:0>32}"
            case.add(hosts, _file(md5=md5, sha256="a" * 56 + digits), what)
            case.before.append({"type": "File", "md5": md5, "sha256": "b" * 56 + digits})
        case "0x3001":
            md5, sha1 = f"c{digits:0>31}", f"c{digits:0>39}"
            case.add(hosts, _file(md5=md5, sha1=sha1), what)
            case.before += [{"type": "File", "md5": md5}, {"type": "File", "sha1": sha1}]


def _file(**hashes: str) -> dict[str, Any]:
    return indicator("File", " : ".join(hashes.values()).upper(), **hashes)


@dataclass(kw_only=True)
class Result:
    """What a load's dead letters come to, held against the truth."""

    truth: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    unattributed: int = 0
    owed: int = 0
    resent: int = 0
    resent_wrongly: int = 0

    @property
    def share(self) -> float:
        """How many of the errors have the right row and code."""
        return self.right.total() / max(self.truth.total(), 1)

    @property
    def passed(self) -> bool:
        """Whether the promise is kept."""
        return self.share >= 0.99 and not self.wrong and self.resent == self.owed and not self.resent_wrongly


def judge(run: Run, truth: dict[Place, str], result: Result) -> None:
    """Hold the dead letters of *run* against the *truth*."""
    result.truth.update(truth.values())
    for letter in pq.read_table(run.rejects_path).to_pylist():
        if letter["summary"] is None:
            result.unattributed += 1
            continue
        place = (letter["file"], letter["row"])
        if truth.get(place) == letter["code"]:
            result.right[letter["code"]] += 1
        else:
            result.wrong.append(f"{place}: {letter['code']}, in truth {truth.get(place)}: {letter['reason']}")


def mend(run: Run, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    """Change the dead letters of *run* as somebody at a spreadsheet would."""
    text = run.rejects_text_path.read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, rows[0].keys())
    writer.writeheader()
    writer.writerows(change(row) for row in rows)
    run.rejects_text_path.write_bytes(out.getvalue().encode("utf-8-sig"))


def _mended(row: dict[str, str]) -> dict[str, str]:
    record = json.loads(row["record"] or "null")
    match row["code"]:
        case "0x1001" | "0x1005":
            return row | {"type": "Host", "summary": f"mended-{row['row']}.example"}
        case "0x1006":
            return row | {"record": json.dumps(record | {"status": "New"})}
        case "0x1002" | "0x1009":
            del record["id_2" if "id_2" in record else "ref_2"]
            return row | {"record": json.dumps(record | {"type_2": "Threat", "ref_2": "threat-0"})}
        case _:
            return row


def _failing(tc: ThreatConnect, run: Run) -> None:
    try:
        submit(tc, run)
    except RejectedRecordsError:
        return
    raise SystemExit("a load with bad rows did not fail")


def _resend(tc: ThreatConnect, run: Run, lost: set[Place], result: Result) -> None:
    """Retry *run*, which lost the rows *lost*, and see what was sent."""
    child = retry(run.path)
    origins = [one for chunk in child.chunks for one in child.origins(chunk.chunk).to_pylist()]
    sent = {(one["file"], one["row"]) for one in origins}
    result.owed += len(lost)
    result.resent += len(sent & lost)
    result.resent_wrongly += len(sent - lost) + len(origins) - len(sent)
    report = submit(tc, child)
    if report.succeeded != len(lost):
        raise SystemExit(f"of {len(lost)} mended records {report.succeeded} were loaded")


def _prepare(tc: ThreatConnect, before: list[dict[str, Any]]) -> int:
    """Put in place what is there before the load; return the id of an indicator of another owner's."""
    for owner, records in ((ELSEWHERE, [{"type": "Host", "hostName": "stranger.example"}]), (OWNER, before)):
        sections = {
            "group": [one for one in records if "xid" in one],
            "indicator": [one for one in records if "xid" not in one],
        }
        job = tc.batch.create(BatchSettings(owner=owner))
        tc.batch.upload(job, json.dumps(sections).encode())
        while not tc.batch.status(job).finished:
            time.sleep(0.05)
    found = tc.indicator(ELSEWHERE, "Host", "stranger.example")
    if found is None:
        raise SystemExit("the other owner's indicator is not there")
    return int(found["id"][0].as_py())


def _table(schema: pa.Schema, rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=schema)


def create(
    tc: ThreatConnect, emulator: Emulator, folder: Path, case: Case, result: Result, *, max_records: int
) -> None:
    """The load with every code that creating can give, mended and retried."""
    run = plan(
        _table(INDICATORS, case.indicators),
        REJECTS.empty_table(),
        folder / "create",
        settings=BatchSettings(owner=OWNER),
        counts={},
        groups=_table(GROUPS, case.groups),
        associations=_table(ASSOCIATIONS, case.associations),
        max_records=max_records,
    )
    emulator.add_fault("job_refuses", route="/v2/batch/*", method="POST", count=None, refuse=case.refuse)
    _failing(tc, run)
    emulator.clear_faults()
    judge(run, case.truth, result)
    mend(run, _mended)
    _resend(tc, run, case.lost, result)


def delete(tc: ThreatConnect, folder: Path, count: int, result: Result) -> None:
    """A load that deletes what is there, and *count* indicators that are not (0x1007); those then are."""
    case = Case()
    there = [f"there-{number}.example" for number in range(count)]
    _prepare(tc, [{"type": "Host", "hostName": name} for name in there])
    for number, name in enumerate(there):
        case.add(case.indicators, indicator("Host", name))
        case.add(case.indicators, indicator("Host", f"not.there-{number}.example"), "0x1007")
    settings = BatchSettings(owner=OWNER, action="Delete")
    table = _table(INDICATORS, case.indicators)
    run = plan(table, REJECTS.empty_table(), folder / "delete", settings=settings, counts={})
    _failing(tc, run)
    judge(run, case.truth, result)
    _prepare(tc, [{"type": "Host", "hostName": f"not.there-{number}.example"} for number in range(count)])
    _resend(tc, run, case.lost, result)


def over_limit(tc: ThreatConnect, emulator: Emulator, folder: Path, result: Result) -> None:
    """A job with more indicators than it may have: the platform takes none, and names none (0x1008)."""
    case = Case()
    for number in range(LIMIT + 10):
        case.add(case.indicators, indicator("Host", f"many-{number}.example"))
    table = _table(INDICATORS, case.indicators)
    run = plan(table, REJECTS.empty_table(), folder / "limit", settings=BatchSettings(owner=OWNER), counts={})
    emulator.set_limits(max_indicators=LIMIT)
    _failing(tc, run)
    emulator.set_limits(max_indicators=25_000)
    letters = pq.read_table(run.rejects_path).to_pylist()
    everything = {("indicators.csv", number + 1) for number in range(len(case.indicators))}
    told = {(one["file"], one["row"]) for one in letters if "exceed the number of allowed indicators" in one["reason"]}
    result.truth["0x1008"] += 1
    result.right["0x1008"] += told == everything and len(letters) == len(everything)
    _resend(tc, run, everything, result)


def measure(rows: int, bad: int, seed: int, folder: Path, *, max_records: int = 10_000) -> Result:
    """Run all three loads in an emulator of their own and return what came of it."""
    result = Result()
    with run_emulator() as emulator:
        connection = {"base_url": emulator.url, "access_id": emulator.access_id, "secret_key": emulator.secret_key}
        with ThreatConnect(**connection) as tc:
            few = max(bad // 20, 1)
            case = generate(rows, bad - few - 1, seed, _prepare(tc, []))
            _prepare(tc, case.before)
            create(tc, emulator, folder, case, result, max_records=max_records)
            delete(tc, folder, few, result)
            over_limit(tc, emulator, folder, result)
    return result


def main() -> int:
    """Measure, print, and return 0 when the promise is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--bad", type=int, default=500)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    arguments = parser.parse_args()
    console = Console()
    console.print(f"{arguments.rows:,} rows, {arguments.bad} bad, seed {arguments.seed}")
    with tempfile.TemporaryDirectory() as folder:
        result = measure(arguments.rows, arguments.bad, arguments.seed, Path(folder))
    table = Table("code", "errors", "right row and code")
    for code in sorted(result.truth):
        table.add_row(code, str(result.truth[code]), str(result.right[code]))
    table.add_section()
    table.add_row("all", str(result.truth.total()), f"{result.right.total()} ({result.share:.2%})")
    console.print(table)
    console.print(f"to a wrong row: {len(result.wrong)}; to none: {result.unattributed}")
    console.print(
        f"not loaded: {result.owed}; sent again: {result.resent}; sent again wrongly: {result.resent_wrongly}"
    )
    for line in result.wrong[:20]:
        console.print(line)
    return 0 if result.passed else 1


if __name__ == "__main__":
    sys.exit(main())
