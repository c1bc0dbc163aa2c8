"""One schedule of the soak: records, settings, faults and deaths, all drawn from one seed."""

import random
from dataclasses import dataclass, field
from typing import Any, Final

CALLS: Final = ("create", "upload", "status", "errors", "results")
"""Of the batch jobs; :mod:`soak_life` calls the two of group files ``file`` and ``size``."""
MOMENTS: Final = (
    # (call or file, how often it may come before the death, weight)
    ("create", 3, 4),
    ("upload", 3, 8),
    ("status", 5, 6),
    ("errors", 2, 4),
    ("results", 3, 3),
    ("plan.json", 1, 2),
    ("receipts", 12, 8),
    ("file", 2, 2),
    ("size", 2, 1),
    ("files", 4, 2),
    ("answers", 3, 3),
    ("rejects.parquet", 1, 1),
    ("rejects.csv", 1, 1),
    ("report.json", 1, 2),
    ("retry.json", 1, 1),
)
"""What a process may die of, right before it, right after it, or (a call) once the request is out and no answer in."""

_ROUTES: Final[tuple[dict[str, Any], ...]] = (
    {"route": "/v2/batch", "method": "POST"},
    {"route": "/v2/batch/*", "method": "POST"},
    {"route": "/v2/batch/*", "method": "POST"},
    {"route": "/v2/batch/*", "method": "GET"},
    {"route": "/v2/batch/*/errors"},
    {"route": "/v2/batch/*/results"},
    {"route": "/v2/batch**"},
    {"route": "/v2/groups/*/*/upload"},
    {"route": "/v3/groups/*"},
)
LATE: Final = 0.9
"""Seconds that a late answer takes; the client of :mod:`soak_life` gives up before."""
_UPLOAD: Final[dict[str, Any]] = {"route": "/v2/batch/*", "method": "POST"}


@dataclass(frozen=True)
class Death:
    """The end of a process by SIGKILL: ``before``, ``amid`` or ``after`` the *nth* time of *what*."""

    when: str
    what: str
    nth: int


@dataclass(frozen=True, order=True)
class Record:
    """Something to load: ``indicator``, ``group``, ``association`` or ``file``.

    A group's xid is its name; a file's type and name are those of its group; ``ends`` are what an association joins.
    """

    kind: str
    type: str
    name: str
    is_bad: bool = False
    ends: "tuple[Record, ...]" = ()

    @property
    def held(self) -> tuple[str, str, str]:
        """What the emulator calls it."""
        if self.kind == "association":
            return "association", "", " - ".join(sorted(end.name for end in self.ends))
        return self.kind, self.type, self.name

    @property
    def letter(self) -> tuple[str, str, str]:
        """What its dead letter calls it: kind, type and summary."""
        if self.kind == "association":
            return self.kind, "Association", " - ".join(f"{end.type} {end.name}" for end in self.ends)
        return self.kind, f"{self.type} file" if self.kind == "file" else self.type, self.name


@dataclass(frozen=True)
class Schedule:
    """All that happens in one load. ``deaths`` has one entry per process, in order; those after live on."""

    seed: int
    records: list[Record]
    max_records: int
    in_flight: int
    settings: dict[str, Any]
    way: str  # submit | advance | parts | rivals: what a process does with the run directory
    store: str  # disk | bucket
    faults: list[dict[str, Any]] = field(default_factory=list)
    deaths: list[Death | None] = field(default_factory=list)


def draw(seed: int) -> Schedule:
    """The schedule of *seed*."""
    chance = random.Random(seed)
    return Schedule(
        seed=seed,
        records=_records(chance),
        max_records=chance.choice((2, 3, 5, 8, 20)),
        in_flight=chance.choice((1, 2, 3)),
        settings={
            "attribute_write_type": chance.choice(("Append", "Replace")),
            "halt_on_error": chance.random() < 0.1,
        },
        way=chance.choices(("submit", "advance", "parts", "rivals"), (6, 2, 1, 1))[0],
        store=chance.choices(("disk", "bucket"), (5, 1))[0],
        faults=[_fault(chance) for _ in range(chance.randint(0, 6))] + _behaviour(chance),
        deaths=[_death(chance) if chance.random() < 0.8 else None for _ in range(chance.randint(0, 5))],
    )


def _records(chance: random.Random) -> list[Record]:
    indicators = _indicators(chance)
    if chance.random() < 0.5:
        return indicators
    groups = [
        Record("group", *chance.choice((("Incident", f"incident {n}"), ("Campaign", f"campaign {n}"))))
        for n in range(chance.randint(0, 8))
    ]
    groups += [Record("group", "Incident", f"odd {n}", is_bad=True) for n in range(chance.choice((0, 0, 2)))]
    papers = [Record("group", chance.choice(("Document", "Report")), f"paper {n}") for n in range(chance.randint(0, 4))]
    everything = indicators + groups + papers
    nowhere = Record("group", "Campaign", "nowhere", is_bad=True)
    pairs = {
        frozenset((chance.choice(groups + papers), chance.choice([*everything, nowhere])))
        for _ in range(chance.randint(0, 12) if groups + papers else 0)
    }
    joined = sorted(sorted(pair, key=lambda end: end.held) for pair in pairs if len(pair) == 2)
    return [
        *everything,
        *(Record("association", "", "", is_bad=any(end.is_bad for end in ends), ends=tuple(ends)) for ends in joined),
        *(Record("file", paper.type, paper.name) for paper in papers),
    ]


def _indicators(chance: random.Random) -> list[Record]:
    numbers = range(chance.randint(1, 40))
    digits = "0123456789ABCDEF"
    kinds: tuple[tuple[str, Any], ...] = (
        ("Host", lambda n: f"host-{n}.example"),
        ("Address", lambda n: f"192.0.2.{n + 1}"),
        ("Address", lambda n: f"2001:db8::{n + 1:x}"),
        ("EmailAddress", lambda n: f"user{n}@mail.example"),
        ("URL", lambda n: f'http://url-{n}.example/a?b="c"&d=é'),
        ("File", lambda _: "".join(chance.choices(digits, k=32))),
        ("File", lambda _: " : ".join("".join(chance.choices(digits, k=size)) for size in (32, 40, 64))),
        ("ASN", lambda n: f"ASN{64500 + n}"),
        ("CIDR", lambda n: f"198.51.{n}.0/24"),
        ("Mutex", lambda n: f"mutex {n} is not a valid Mutex"),
        ("Registry Key", lambda n: f"HKEY_LOCAL_MACHINE\\Software\\Bad{n} : Run : REG_SZ"),
        ("User Agent", lambda n: f"Mozilla/5.0 (bad {n})"),
        ("Email Subject", lambda n: f"Invoice {n}: pay now"),
        ("Hashtag", lambda n: f"#bad{n}"),
    )
    wrong: tuple[tuple[str, Any], ...] = (
        ("Host", lambda n: f"no host {n}"),
        ("Address", lambda n: f"192.0.2.{n + 900}"),
        ("URL", lambda n: f"//url-{n}.example"),
        ("CIDR", lambda n: f"198.51.100.0/{n + 90}"),
        ("ASN", lambda n: f"{64500 + n}"),
        ("No Such Type", lambda n: f"whatever {n}"),
    )
    share = chance.choice((0.0, 0.1, 0.4))
    records = []
    for number in numbers:
        is_bad = chance.random() < share
        type_, name = chance.choice(wrong if is_bad else kinds)
        records.append(Record("indicator", type_, name(number), is_bad))
    return records


def _fault(chance: random.Random) -> dict[str, Any]:
    fault: dict[str, Any] = chance.choice(
        (
            {"kind": "status", "status": chance.choice((401, 403, 500, 502, 503, 504))},
            {"kind": "status", "status": chance.choice((429, 503)), "retry_after": 0},
            {"kind": "status", "status": chance.choice((500, 502, 503, 504)), "when": "after"},
            {"kind": "reset"},
            {"kind": "reset", "bytes": chance.randint(1, 3000)},
            {"kind": "reset", "when": "after"},
            {"kind": "truncate"},
            {"kind": "truncate", "bytes": chance.randint(0, 40)},
            {"kind": "drip", "bytes": 40, "seconds": 0.01},
            {"kind": "delay", "seconds": chance.choice((0.05, LATE))},
            {"kind": "html", "status": chance.choice((200, 502)), "when": chance.choice(("before", "after"))},
        )
    )
    often: dict[str, Any] = {"nth": chance.randint(1, 8), "count": chance.randint(1, 3)}
    if chance.random() < 0.3:
        often = {"probability": chance.choice((0.1, 0.3)), "seed": chance.randrange(2**31), "count": 8}
    return fault | chance.choice(_ROUTES) | often


def _behaviour(chance: random.Random) -> list[dict[str, Any]]:
    """How the server itself behaves. It takes every upload it gets, so that a second one shows."""
    behaviour: list[dict[str, Any]] = [{"kind": "upload_again", "count": None} | _UPLOAD]
    job = chance.random()
    nth = chance.randint(1, 4)
    if job < 0.1:
        behaviour.append({"kind": "job_half", "fraction": chance.random(), "nth": nth} | _UPLOAD)
    elif job < 0.2:
        behaviour.append({"kind": "job_stuck", "seconds": chance.uniform(0.05, 0.4), "nth": nth, "count": 2} | _UPLOAD)
    elif job < 0.23:
        behaviour.append({"kind": "job_stuck", "nth": nth} | _UPLOAD)
    if chance.random() < 0.1:
        count = chance.choice((None, 3))
        behaviour.append({"kind": "skew", "seconds": chance.choice((-4000, 4000)), "count": count, "route": "/v2/**"})
    return behaviour


def _death(chance: random.Random) -> Death:
    what, most, _ = chance.choices(MOMENTS, [weight for *_, weight in MOMENTS])[0]
    whens = ("before", "amid", "after") if what in CALLS else ("before", "after")
    return Death(chance.choice(whens), what, min(chance.randint(1, most), chance.randint(1, most)))
