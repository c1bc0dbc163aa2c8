"""Made-up indicators, the same ones for the same seed, as many as wanted.

Indicator *i* of an owner depends on (seed, owner, i) only: the first 1,000 of a million are the 1,000 of a thousand.
Every choice is taken from the bytes of one hash, which costs a microsecond. Domains and addresses are those reserved
for documentation and benchmarks; nothing here points at anybody.
"""

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

from tcetl.emulator.clock import iso
from tcetl.emulator.render import tag_document
from tcetl.emulator.store import Store
from tcetl.emulator.tenants import Owner
from tcetl.emulator.vocabulary import LABEL_DATE, LABELS

_SHARES: Final = {
    # per mille
    "Host": 300,
    "URL": 290,
    "Address": 200,
    "File": 140,
    "EmailAddress": 30,
    "CIDR": 15,
    "ASN": 5,
    "Mutex": 5,
    "Registry Key": 5,
    "User Agent": 5,
    "Email Subject": 3,
    "Hashtag": 2,
}
_TYPES: Final = [name for name, share in _SHARES.items() for _ in range(share)]
# fmt: off
_WORDS: Final = (
    "amber", "anchor", "arrow", "atlas", "aurora", "basin", "beacon", "birch", "bishop", "border", "bridge",
    "bronze", "cable", "canyon", "cedar", "cellar", "chalk", "cinder", "cipher", "cobalt", "comet", "copper",
    "coral", "crater", "cricket", "dagger", "delta", "desert", "drift", "eagle", "ember", "engine", "falcon",
    "fathom", "ferry", "field", "flint", "forge", "fossil", "garnet", "glacier", "granite", "harbor", "hazel",
    "heron", "hollow", "indigo", "island", "ivory", "jasper", "kernel", "lantern", "ledger", "lemon", "linen",
    "magnet", "maple", "marble", "meadow", "mercury", "mirror", "nickel", "opal", "orchard",
)
# fmt: on
_TLDS: Final = ("example", "example.com", "example.net", "example.org", "test", "invalid")
_TAGS: Final = (
    "Malware",
    "Phishing",
    "Botnet",
    "C2",
    "Ransomware",
    "Credential Theft",
    "Loader",
    "APT",
    "Spam",
    "Scanner",
    "Exploit Kit",
    "Cryptomining",
    "Finance",
    "Energy, Oil & Gas",
    "Gesundheit",
    "Überwachung",
    "T1566 - Phishing",
    "OSINT",
    "Critical",
    "Review/Pending",
)
_SENTENCES: Final = (
    "Seen in a campaign against several organizations; the operators reuse infrastructure for weeks.",
    'Reported by a partner as "high confidence", with passive DNS to support it.',
    "Sandbox run 4711 contacted this within 30 seconds; the payload was {packed}, the path C:\\Temp\\a.exe.",
    "Shared under the usual handling rules.\nSecond line: do not block without review.",
    "Résumé: l'infrastructure semble partagée — voir l'analyse, § 3.",
    "Appears on two independent block lists with scores above 80 | rated by three analysts.",
    "Delivery by mail with an archive attached, password in the text; key=value pairs in the body.",
    "Hosting provider notified, no reaction so far; last answer of the resolver was NXDOMAIN.",
)
_ATTRIBUTES: Final = (
    "Additional Analysis and Context",
    "Threat Type",
    "Malware Family",
    "External References",
    "Threat Level",
    "Phase of Intrusion",
    "Infection Vector",
    "Analyst Notes",
)
_FIRST_DAY: Final = 1_704_067_200  # 2024-01-01T00:00:00Z
_SPAN: Final = 2 * 365 * 86_400
_DOCUMENTATION: Final = ("192.0.2", "198.51.100", "203.0.113")
_BENCHMARK_SIZE: Final = 1 << 17  # addresses in 198.18.0.0/15, reserved for benchmarks
_SLICE: Final = 5_000

_COLUMNS: Final = (
    "owner",
    "active",
    "type",
    "key",
    "value1",
    "value2",
    "value3",
    "rating",
    "confidence",
    "ta_rating",
    "ta_confidence",
    "ta_score",
    "cal_score",
    "size",
    "dns_active",
    "whois_active",
    "observations",
    "last_observed",
    "false_positives",
    "date_added",
    "last_modified",
    "description",
    "attributes",
    "tags",
    "labels",
)


def _address(index: int) -> str:
    if index < 3 * 256:
        return f"{_DOCUMENTATION[index // 256]}.{index % 256}"
    index -= 3 * 256
    if index < _BENCHMARK_SIZE and index % 4:
        return f"198.{18 + (index >> 16)}.{index >> 8 & 255}.{index & 255}"
    return f"2001:db8:{index >> 16 & 0xFFFF:x}:{index & 0xFFFF:x}::{index % 13 + 1:x}"


def _file(digest: bytes) -> tuple[str | None, str | None, str | None]:
    """Half of the Files have all three hashes, the others one or two."""
    text = hashlib.sha512(digest).hexdigest().upper()
    md5, sha1, sha256 = text[:32], text[32:72], text[64:128]
    few = ((md5, None, None), (None, None, sha256), (md5, sha1, None), (None, sha1, None))
    return few[digest[11] & 3] if digest[11] & 4 else (md5, sha1, sha256)


def _host(words: tuple[str, str], index: int, digest: bytes) -> str:
    return f"{words[0]}-{words[1]}{index:x}.{_TLDS[digest[10] % 6]}"


def _url(words: tuple[str, str], index: int, digest: bytes) -> str:
    scheme = "https" if digest[11] & 1 else "http"
    path = f"{words[1]}/{digest[40:46].hex()}/{words[0]}.php?id={digest[12]}&s={digest[46:54].hex()}"
    return f"{scheme}://{_host(words, index, digest)}/{path}"


# How the single value of a type is made of two words and the index, which makes it unique.
_MAKE: Final[dict[str, Callable[[tuple[str, str], int, bytes], str]]] = {
    "Host": lambda words, i, digest: ("www." if digest[11] & 3 == 0 else "") + _host(words, i, digest),
    "URL": _url,
    "Address": lambda _words, i, _digest: _address(i),
    "EmailAddress": lambda words, i, digest: f"{words[1]}.{words[0]}@{_host(words, i, digest)}",
    "CIDR": lambda _words, i, _digest: f"2001:db8:{i >> 16 & 0xFFFF:x}:{i & 0xFFFF:x}:0:0:0:0/64",
    "ASN": lambda _words, i, _digest: f"ASN{4_200_000_000 + i}",  # private numbers
    "Mutex": lambda words, i, _digest: rf"Global\{words[0]}_{i:x}",
    "User Agent": lambda words, i, digest: f"Mozilla/5.0 (X11; {words[0]} {i:x}) {words[1].title()}/1.{digest[12]}",
    "Email Subject": lambda words, i, _digest: f"Invoice {i:x}: your {words[0]} {words[1]}, please confirm",
    "Hashtag": lambda words, i, _digest: f"#{words[0]}{words[1]}{i:x}",
}


def _values(type_: str, index: int, digest: bytes) -> tuple[str | None, ...]:
    """Lookup key and three values of indicator *index*."""
    if type_ == "File":
        return (None, *_file(digest))
    words = _WORDS[digest[8] & 63], _WORDS[digest[9] & 63]
    if type_ == "Registry Key":
        path = rf"HKEY_LOCAL_MACHINE\Software\{words[0]}\{words[1]}{index:x}"
        return f"{path} : Run : REG_SZ", path, "Run", "REG_SZ"
    value = _MAKE[type_](words, index, digest)
    return value, value, None, None


def _moment(seconds: int) -> str:
    """Seconds after the first day, as the platform writes dates; tables make it cheap."""
    day, second = divmod(seconds, 86_400)
    minute, second = divmod(second, 60)
    return f"{_DAYS[day]}{_MINUTES[minute]}{second:02}Z"


_DAYS: Final = [iso(_FIRST_DAY + day * 86_400)[:11] for day in range(_SPAN // 86_400 + 61)]
_MINUTES: Final = [f"{hour:02}:{minute:02}:" for hour in range(24) for minute in range(60)]
_QUOTED: Final = [json.dumps(sentence, ensure_ascii=False) for sentence in _SENTENCES]
_LABELS: Final = [
    json.dumps([{"name": name, "description": LABELS[name][1], "dateAdded": LABEL_DATE}])
    for name in ("TLP:CLEAR", "TLP:GREEN", "TLP:AMBER", "TLP:RED")
]


class Seeder:
    """Fills owners of *store*."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seeded: Counter[int] = Counter()

    def seed(self, owner: Owner, count: int, *, seed: int = 0) -> None:
        """Add *count* indicators to *owner*, after those seeded before."""
        start = self._seeded[owner.id]
        sql = f"INSERT INTO indicator ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608
        rows = self._rows(owner.id, range(start, start + count), seed)
        while part := list(itertools.islice(rows, _SLICE)):
            with self._store.writing() as connection:
                connection.executemany(sql, part)
        self._seeded[owner.id] = start + count

    def clear(self) -> None:
        """Start from the beginning again."""
        self._seeded.clear()

    def _rows(self, owner: int, indices: range, seed: int) -> Iterator[tuple[Any, ...]]:
        tags = [json.dumps(tag_document(tag, owner), ensure_ascii=False, separators=(",", ":")) for tag in _TAGS]
        for index in indices:
            digest = hashlib.blake2b(b"%d:%d:%d" % (seed, owner, index)).digest()
            type_ = _TYPES[int.from_bytes(digest[:2]) * 1000 >> 16]
            key, *values = _values(type_, index, digest)
            added = int.from_bytes(digest[19:23]) % _SPAN
            modified = added + int.from_bytes(digest[23:26]) % (60 * 86_400)
            date_added, last_modified = _moment(added), _moment(modified)
            assessed = digest[15] >= 64
            described = digest[26] < 102
            sentence = _QUOTED[digest[27] & 7]
            observed = digest[28] < 26
            yield (
                owner,
                1,
                type_,
                key,
                *values,
                None if digest[13] < 38 else digest[13] % 6,
                None if digest[14] < 30 else digest[14] % 101,
                digest[16] % 51 / 10 if assessed else None,
                round(digest[29] / 2.55, 2) if assessed else None,
                (digest[30] << 8 | digest[31]) % 1001 if assessed else None,
                (digest[32] << 8 | digest[33]) % 1001 if digest[34] < 77 else None,
                1024 + (digest[35] << 8 | digest[36]) if type_ == "File" else None,
                digest[37] & 1 if type_ == "Host" else None,
                digest[37] >> 1 & 1 if type_ == "Host" else None,
                digest[38] if observed else 0,
                last_modified if observed else None,
                1 if digest[39] < 5 else 0,
                date_added,
                last_modified,
                _SENTENCES[digest[27] & 7] if described else None,
                self._attributes(digest, sentence if described else None, date_added, last_modified),
                self._tags(digest, tags),
                _LABELS[digest[54] & 3] if digest[55] & 1 else None,
            )

    def _attributes(self, digest: bytes, description: str | None, added: str, modified: str) -> str | None:
        """Up to three attributes besides the default description."""
        next_id = self._store.attribute_id
        dates = f'"dateAdded":"{added}","lastModified":"{modified}"'
        items = []
        if description is not None:
            items.append(f'{{"id":{next_id()},"type":"Description",{dates},"displayed":true,"value":{description}}}')
        for position in range(digest[17] & 3):
            type_, value = _ATTRIBUTES[digest[56 + position] & 7], _QUOTED[digest[59 + position] & 7]
            items.append(f'{{"id":{next_id()},"type":"{type_}",{dates},"displayed":false,"value":{value}}}')
        return f"[{','.join(items)}]" if items else None

    @staticmethod
    def _tags(digest: bytes, tags: list[str]) -> str | None:
        """Up to five different tags."""
        count = digest[18] % 6
        if not count:
            return None
        first = digest[62] % len(tags)
        step = (1, 3, 7, 9)[digest[63] & 3]  # prime to the number of tags: no repetition
        return f"[{','.join([tags[(first + step * n) % len(tags)] for n in range(count)])}]"
