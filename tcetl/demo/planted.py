"""The demo's own threat feed: thousands of good rows, and among them the kinds of bad ones that real feeds have.

Every bad row is planted on purpose and known, so that the demo can prove that exactly those were rejected. All names
and addresses are reserved for documentation (RFC 2606, 3849, 5398, 5737).
"""

import csv
import hashlib
import io
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tcetl.atomic import AtomicFile

_COLUMNS: Final = ("indicator", "type", "confidence", "tags", "first_seen", "description")
_GOOD: Final = 12_000
_AGAIN: Final = 240  # good rows that come a second time, written in another way
_FAMILIES: Final = ("loader", "stealer", "botnet", "phishing", "ransomware")

# Rows that nobody could load: the cell, the type that the feed declares, and the code they must be rejected with.
_BAD: Final = (
    ("203.0.113.{n}999", "ip", "bad-address"),
    ("http://drop{n}.example.com:99999/a", "url", "bad-url"),
    ("http://-bad{n}-.example.com/", "url", "bad-url"),
    ("files{n}.example.com/drop/", "url", "no-scheme"),
    ("invoice-{n}.docx", "domain", "file-name"),
    ("no indicator at all ({n})", "domain", "not-an-indicator"),
    ("{md5}", "sha256", "type-mismatch"),
    ("{md5}{md5}", "sha256", "bad-hash"),
    ("someone..{n}@example.org", "email", "bad-email"),
    ("198.51.100.{n}/33", "cidr", "bad-cidr"),
    ("AS9999999999{n}", "asn", "bad-asn"),
    ("HKEY_NOWHERE\\Software\\Example{n}", "registry_key", "bad-registry-key"),
    ("rule example_{n} {{ condition: true }}", "yara", "unsupported-type"),
    ("", "domain", "empty-value"),
)
_BAD_EACH: Final = 3
_RAGGED: Final = 4  # lines with a cell too many: rejected before anybody looks at the value

EXCLUDED: Final = tuple(f"www{n}.excluded.example" for n in range(1, 6))
"""Hosts of "our own company": valid, so we send them, but on the platform's exclusion list, so it refuses them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """What stands in the feed at ``path``, and so what must become of its rows.

    Attributes:
        path: The feed, a CSV file.
        rows: All rows.
        rejected: Rows that must be rejected before anything is sent, by code.
        duplicates: Rows that say again what another one says.
        refused: Records that only the platform can refuse.
        loaded: Records that must arrive.
    """

    path: Path
    rows: int
    rejected: dict[str, int]
    duplicates: int
    refused: int
    loaded: int


def plant(path: Path) -> Planted:
    """Write the demo feed to *path*, the same bytes every time, and return what is in it."""
    order = random.Random(20260223)  # noqa: S311 - shuffling, not secrecy
    good = list(_good())
    lines = [_line(value, kind, n) for n, (value, kind) in enumerate(good)]
    lines += [_line(_otherwise(value), kind, n) for n, (value, kind) in enumerate(order.sample(good, _AGAIN))]
    lines += [_line(host, "domain", n) for n, host in enumerate(EXCLUDED)]
    rejected: Counter[str] = Counter()
    for value, kind, code in _BAD:
        for n in range(1, _BAD_EACH + 1):
            filled = value.format(n=n, md5=hashlib.md5(b"%d" % n, usedforsecurity=False).hexdigest())
            lines.append(_line(filled, kind, n))
            rejected[code] += 1
    for n in range(_RAGGED):
        lines.append(_line(f"ragged{n}.example.com", "domain", n).rstrip("\n") + ',"a cell too many"\n')
        rejected["ragged-row"] += 1
    order.shuffle(lines)
    head = "# tcetl demo feed: invented, with bad rows on purpose\n" + ",".join(_COLUMNS) + "\n"
    with AtomicFile(path) as feed:
        feed.write((head + "".join(lines)).encode())
    return Planted(
        path=path,
        rows=len(lines),
        rejected=dict(rejected),
        duplicates=_AGAIN,
        refused=len(EXCLUDED),
        loaded=len(good),
    )


def _good() -> Iterator[tuple[str, str]]:
    """Yield _GOOD distinct indicators as (value, the feed's word for its type), some of them defanged."""
    for n in range(_GOOD):
        digest = hashlib.sha256(b"demo %d" % n).hexdigest()
        block, place = divmod(n, 12)
        match place:
            case 0 | 1 | 2:
                yield _defanged(f"http://drop{n}.example.com/{digest[:8]}/payload.bin?id={n}", n), "url"
            case 3 | 4:
                yield _defanged(f"c2-{n}.example.net", n), "domain"
            case 5 | 6:
                yield digest, "sha256"
            case 7:
                yield digest[:32], "md5"
            case 8 if block < 254:
                yield _defanged(f"198.51.100.{block + 1}", n), "ip"
            case 8:
                yield f"2001:db8:{block:x}::{n:x}", "ip"
            case 9:
                yield f"phish{n}@mail.example.org", "email"
            case 10:
                yield f"2001:db8:{block:x}::/48", "cidr"
            case _:
                yield _rare(block)


def _rare(block: int) -> tuple[str, str]:
    kinds = (
        (f"Global\\Example-{block}", "mutex"),
        (f"HKCU\\Software\\Example\\Run{block} : Start : REG_SZ", "registry_key"),
        (f"ExampleBot/{block}.0 (+https://example.org/bot)", "user_agent"),
        (f"Your invoice no. {block} is overdue", "email_subject"),
        (f"#example{block}", "hashtag"),
    )
    # Only 32 autonomous system numbers are reserved for documentation: 64496-64511 and 65536-65551.
    if block < 32:
        return f"AS{64496 + block if block < 16 else 65520 + block}", "asn"
    return kinds[block % len(kinds)]


def _defanged(value: str, n: int) -> str:
    match n % 4:
        case 0:
            return value.replace("http", "hxxp", 1).replace(".", "[.]", 1)
        case 1:
            return value.replace(".", "[.]")
        case _:
            return value


def _otherwise(value: str) -> str:
    """Write *value* another way that means the same: another spelling of a hash, a host, or simply blanks around."""
    return f" {value.upper()} " if len(value) in (32, 64) and value.isalnum() else f" {value} "


def _line(value: str, kind: str, n: int) -> str:
    out = io.StringIO()
    family = _FAMILIES[n % len(_FAMILIES)]
    seen = f"2026-11-{1 + n % 24:02}T{n % 24:02}:00:00Z"
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(
        (value, kind, 30 + n % 70, f"demo,{family}", seen, f"Invented {family}, row {n}")
    )
    return out.getvalue()
