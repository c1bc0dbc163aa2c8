"""A feed to batch JSON as one would write it in an afternoon: row by row, with `csv`, `ipaddress`, `idna` and `json`.

What `feed_to_batch.py` measures tcetl against. It follows the same rules for the values in `dirty_feed.py` and gives
the same records; it is written to be clear and not wasteful, not to be slow.
"""

import csv
import ipaddress
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import idna

CHUNK = 10_000
HASH = re.compile(r"[0-9A-Fa-f]+")
KEYS = {"Address": "ip", "EmailAddress": "address", "Host": "hostName", "URL": "text", "CIDR": "Block"}
HASH_KEYS = {32: "md5", 40: "sha1", 64: "sha256"}
LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
LOCAL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}")
FILE_NAME = re.compile(r".*\.(?:doc|exe|dll|pdf|zip7|js)")


class BadError(ValueError):
    """The value is no indicator."""


def refang(value: str) -> str:
    """Undo the usual defanging."""
    value = value.strip()
    if "[" in value or "(" in value:
        value = value.replace("[.]", ".").replace("(.)", ".").replace("[:]", ":").replace("[@]", "@")
    if value[:4].lower() == "hxxp":
        value = "http" + value[4:]
    return value


def host(value: str) -> str:
    """A valid host name in lower case, as punycode."""
    name = value.lower()
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode()
        except idna.IDNAError as error:
            raise BadError("bad-host") from error
    labels = name.split(".")
    if len(labels) < 2 or len(name) > 253 or labels[-1].isdigit():
        raise BadError("bad-host")
    if not all(LABEL.fullmatch(label) for label in labels):
        raise BadError("bad-host")
    return name


def classify(value: str) -> tuple[str, str]:
    """The type and the canonical form of *value*."""
    if "://" in value:
        return "URL", url(value)
    if "@" in value:
        local, _, domain = value.lower().rpartition("@")
        if not LOCAL.fullmatch(local):
            raise BadError("bad-email")
        return "EmailAddress", f"{local}@{host(domain)}"
    if len(value) in HASH_KEYS and HASH.fullmatch(value):
        return "File", value.upper()
    try:
        if "/" in value:
            return "CIDR", str(ipaddress.ip_network(value, strict=False))
        name, _, port = value.partition(":")
        return "Address", str(ipaddress.ip_address(name if port.isdigit() else value))
    except ValueError:
        if " " in value or ":" in value or FILE_NAME.fullmatch(value):
            raise BadError("not-an-indicator") from None
    return "Host", host(value)


def url(value: str) -> str:
    """A valid URL with its scheme and host in lower case."""
    if " " in value:
        raise BadError("bad-url")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise BadError("bad-url") from error
    name = parts.hostname or ""
    try:
        location = str(ipaddress.ip_address(name))
    except ValueError:
        location = host(name)
    scheme, _, rest = value.partition("://")
    end = len(parts.netloc)
    return f"{scheme.lower()}://{location}{f':{port}' if port else ''}{rest[end:]}"


def convert(feed: Path, out: Path) -> dict[str, Any]:
    """Write *feed* as batch files and rejects into *out*, and return the counts."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    rejected: Counter[str] = Counter()
    duplicates = rows = 0
    (out / "chunks").mkdir(parents=True)
    with feed.open(newline="", encoding="utf-8") as stream, (out / "rejects.csv").open("w", newline="") as bad:
        rejects = csv.writer(bad)
        rejects.writerow(("file", "row", "raw", "field", "code", "reason"))
        for row in csv.DictReader(stream):
            rows += 1
            try:
                kind, summary = classify(refang(row["indicator"]))
            except BadError as error:
                rejected[str(error)] += 1
                rejects.writerow((feed, rows + 1, row["indicator"], "indicator", error, "no valid indicator"))
                continue
            tags = {tag.strip() for tag in row["tags"].split(",")} - {""}
            confidence = int(row["confidence"]) if row["confidence"] else None
            description = f"Malware: {row['malware']}" if row["malware"] else None
            seen = row["first_seen"].replace(" ", "T") + "Z"
            known = found.get((kind, summary))
            if known is None:
                found[kind, summary] = {
                    "confidence": confidence,
                    "description": description,
                    "seen": seen,
                    "tags": tags,
                }
                continue
            duplicates += 1
            rejects.writerow((feed, rows + 1, row["indicator"], "indicator", "duplicate", "known already"))
            known["tags"] |= tags
            known["seen"] = min(known["seen"], seen)
            if confidence is not None and (known["confidence"] is None or confidence > known["confidence"]):
                known["confidence"] = confidence
            if description is not None and (known["description"] is None or description < known["description"]):
                known["description"] = description
    records = [record(*key, found[key]) for key in sorted(found)]
    for number, start in enumerate(range(0, len(records), CHUNK)):
        text = json.dumps({"indicator": records[start : start + CHUNK]}, separators=(",", ":"), ensure_ascii=False)
        (out / "chunks" / f"{number:05}.json").write_text(text, encoding="utf-8")
    by_type = Counter(kind for kind, _ in found)
    return {
        "rows_read": rows,
        "rejected": sum(rejected.values()),
        "duplicates": duplicates,
        "indicators": dict(by_type),
    }


def record(kind: str, summary: str, known: dict[str, Any]) -> dict[str, Any]:
    """The batch record of one indicator."""
    key = HASH_KEYS[len(summary)] if kind == "File" else KEYS[kind]
    made: dict[str, Any] = {"type": kind, key: summary.lower() if kind == "File" else summary}
    if known["confidence"] is not None:
        made["confidence"] = known["confidence"]
    if known["description"]:
        made["description"] = known["description"]
    made["firstSeen"] = known["seen"]
    if known["tags"]:
        made["tag"] = [{"name": tag} for tag in sorted(known["tags"])]
    return made
