"""A CSV feed as dirty as real ones, the same for the same size: what `feed_to_batch.py` measures on.

Of its rows a fifth repeat an earlier indicator in another notation and with other tags, and one in fifty is none.
"""

import csv
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

COLUMNS: Final = ("first_seen", "indicator", "malware", "tags", "confidence")
DUPLICATES: Final = 0.20
BAD: Final = 0.02
_FAMILIES: Final = ("AsyncRAT", "Emotet", "FormBook", "Lumma", "Mozi", "Qakbot", "RedLine", "Remcos", "XWorm", "")
_TAGS: Final = (
    "32-bit",
    "apt",
    "botnet",
    "c2",
    "dropper",
    "elf",
    "exe",
    "loader",
    "mirai",
    "phishing",
    "rat",
    "stealer",
)
_TLDS: Final = ("com", "net", "org", "info", "top", "xyz", "ru", "cn", "io", "co.uk", "click", "shop")
_WORDS: Final = (
    "account",
    "cdn",
    "client",
    "cloud",
    "data",
    "login",
    "mail",
    "node",
    "pay",
    "secure",
    "static",
    "update",
)
_IDN: Final = ("bücher", "señal", "новости", "münchen", "café")
_PATHS: Final = (
    "index.php",
    "wp-content/uploads",
    "i",
    "gate.php",
    "panel/Login.aspx",
    "a/b/c.exe",
    "mips",
    "Update.zip",
)
_BAD: Final = (
    "",
    "999.12.0.7",
    "not an indicator",
    "http://exa mple.com/x",
    "localhost",
    "192.0.2",
    "d41d8cd98f00b204e9800998ecf8427",
    "http://bad_.-host-.example:99999/",
    "invoice_2025.doc",
    "07:01:24",
)


def write(path: Path, rows: int, seed: int = 1) -> None:
    """Write a feed of *rows* rows to *path*."""
    pick = random.Random(seed)
    kinds: list[Callable[[random.Random], str]] = []
    for make, share in ((_ipv4, 28), (_host, 25), (_url, 27), (_hash, 14), (_ip_port, 2), (_email, 1), (_ipv6, 1)):
        kinds += [make] * share
    kinds += [_cidr, _idn]
    known: list[str] = []
    with path.open("w", newline="", encoding="utf-8") as stream:
        out = csv.writer(stream)
        out.writerow(COLUMNS)
        for _ in range(rows):
            chance = pick.random()
            if chance < BAD:
                value = pick.choice(_BAD)
            elif chance < BAD + DUPLICATES and known:
                value = _otherwise(known[pick.randrange(len(known))], pick)
            else:
                known.append(pick.choice(kinds)(pick))
                value = _otherwise(known[-1], pick)
            moment = datetime(2023, 1, 1, tzinfo=UTC) + timedelta(seconds=pick.randrange(86400 * 700))
            out.writerow(
                (
                    f"{moment:%Y-%m-%d %H:%M:%S}",
                    value,
                    pick.choice(_FAMILIES),
                    ",".join(pick.sample(_TAGS, pick.randrange(4))),
                    pick.randrange(101) if pick.random() < 0.8 else "",
                )
            )


def _otherwise(value: str, pick: random.Random) -> str:
    """The same indicator as somebody else would write it: defanged, in another case, with blanks."""
    chance = pick.random()
    if chance < 0.30:
        host, slash, rest = value.partition("//")[2].partition("/") if "://" in value else (value, "", "")
        scheme = value.partition("//")[0].replace("http", "hxxp") + "//" if "://" in value else ""
        return f"{scheme}{host.replace('.', '[.]')}{slash}{rest}"
    if chance < 0.34 and "://" not in value:
        return value.upper()
    if chance < 0.36 and "://" not in value and "." in value:
        return value.replace(".", "(.)")
    return f" {value} " if chance < 0.39 else value


def _ipv4(pick: random.Random) -> str:
    return f"{pick.randrange(1, 224)}.{pick.randrange(256)}.{pick.randrange(256)}.{pick.randrange(256)}"


def _ip_port(pick: random.Random) -> str:
    return f"{_ipv4(pick)}:{pick.choice((80, 443, 4444, 8080, 31337))}"


def _ipv6(pick: random.Random) -> str:
    return f"2001:db8:{pick.randrange(1, 65536):x}::{pick.randrange(1, 65536):x}:{pick.randrange(1, 65536):x}"


def _cidr(pick: random.Random) -> str:
    return f"{pick.randrange(1, 224)}.{pick.randrange(256)}.{pick.randrange(256)}.0/24"


def _host(pick: random.Random) -> str:
    domain = f"{pick.choice(_WORDS)}{pick.randrange(10**4)}.{pick.choice(_TLDS)}"
    return f"{pick.choice(_WORDS)}-{pick.randrange(10**6):x}.{domain}"


def _idn(pick: random.Random) -> str:
    return f"{pick.choice(_WORDS)}{pick.randrange(10**4)}.{pick.choice(_IDN)}.{pick.choice(_TLDS)}"


def _url(pick: random.Random) -> str:
    where = _ipv4(pick) if pick.random() < 0.4 else _host(pick)
    port = f":{pick.randrange(1024, 65536)}" if pick.random() < 0.3 else ""
    return f"http{pick.choice(('', 's'))}://{where}{port}/{pick.choice(_PATHS)}?id={pick.randrange(10**6)}"


def _hash(pick: random.Random) -> str:
    digits = pick.choice((32, 40, 64, 64))
    return f"{pick.getrandbits(digits * 4):0{digits}x}"


def _email(pick: random.Random) -> str:
    return f"{pick.choice(_WORDS)}.{pick.randrange(10**4)}@{_host(pick)}"
