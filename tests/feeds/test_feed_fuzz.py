"""No file crashes or hangs a reader: whatever is broken about it, it is read, or refused with a FeedError."""

import contextlib
import gzip
import io
import json
import os
import random
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import Workbook
from shared_feeds import FEEDS

from tcetl.errors import FeedError
from tcetl.feeds import FORMATS, Unpacking, open_feed

MUTATIONS = int(os.environ.get("TCETL_FUZZ", "3"))  # of each sample; more of them find more
LARGEST = 6000  # bytes of a sample: small ones break in more places per second
PIECES = (
    b'"', b"'", b",", b"\n", b"\r", b"\x00", b"\xff", b"\xfe\xff", b"#", b";", b"\t", b"\xc3", b"[", b"]", b"{", b"}",
    b"<", b">", b"http://", b"[.]", b'""', b"```", b"|", b"xn--",
    b"\\", b"\\u0000", b"\\ud800", b"-1", b"1e999", b"null", b"PK\x03\x04", b"\x1f\x8b",
    b"0.0.0.0 ", b"&a;", b"<!DOCTYPE x>", b"9" * 40, b"\xe2\x80\xa8", b"a." * 50,
)  # fmt: skip


def workbook():
    book = Workbook()
    book.active.append(["ioc", "n"])
    book.active.append(["a.example", 1])
    stored = io.BytesIO()
    book.save(stored)
    return stored.getvalue()


def parquet():
    stored = io.BytesIO()
    pq.write_table(pa.table({"ioc": ["a.example", None], "tags": [["x"], []]}), stored)
    return stored.getvalue()


def archive(**members):
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return stored.getvalue()


CSV = b"ioc,x\na.example,1\n" * 20
UUID = "c37d49bb-2287-5087-b408-ce338bf8d71f"
MISP = {
    "manifest.json": json.dumps({UUID: {"timestamp": "1"}, UUID.replace("c", "d"): 1}),
    f"{UUID}.json": json.dumps({"Event": {"Attribute": [{"type": "domain", "value": "a.example", "uuid": UUID}]}}),
}


REPORT = b"# Title\n\n```\n192.0.2.1\nevil[.]com\n```\n| a | b |\n|---|---|\n| b.example | hxxp://c[.]example/ |\n"
SAMPLES = {
    "workbook": workbook(),
    "parquet": parquet(),
    "archive": archive(a=CSV),
    "archive of many": archive(a=CSV, b=gzip.compress(CSV, mtime=0), c=CSV[:100]),
    "archive of a folder": archive(**MISP),
    "gzip": gzip.compress(CSV, mtime=0),
    "report": REPORT,
    "json": json.dumps({"n": 1, "data": [{"ioc": "a.example", "x": {"y": [1, {"z": None}]}}]}).encode(),
    "keyed json": json.dumps({"1": [{"ioc": "192.0.2.1"}], "2": [{"ioc": "b.example"}]}).encode(),
    "ndjson": b'{"ioc": "a.example"}\n{"ioc": ["b.example"]}\n',
    "hosts": b"# hosts\n0.0.0.0 a.example b.example\n||c.example^\n198.51.100.0/24 ; SBL1\nAS64496 # x\n",
    "utf-16": "ioc,x\na.example,ü\n".encode("utf-16"),
}
if FEEDS.is_dir():
    SAMPLES |= {path.name: path.read_bytes()[:LARGEST] for path in sorted(FEEDS.iterdir()) if path.is_file()}


def mutated(data, chance):
    """*data* with a few places cut out, doubled, moved or overwritten."""
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data) + 1)
        size = chance.choice((0, 1, 1, 2, 8, 100, 1000))
        piece = chance.choice((*PIECES, bytes([chance.randrange(256)]), data[at : at + size] * chance.choice((2, 50))))
        data = data[:at] + piece + data[at + size * chance.randint(0, 1) :]
    return data


def read(data, name="auto"):
    """Every record there is, or as far as the error."""
    with contextlib.suppress(FeedError):
        feed = open_feed(io.BytesIO(data), format=name, unpacking=Unpacking(max_bytes=50_000_000))
        for batch in feed.batches():
            assert not any(batch.frame[name].null_count() for name in feed.columns)
            batch.rejects.validate(full=True)


@pytest.mark.parametrize("name", SAMPLES)
def test_mutations(name):
    for seed in range(MUTATIONS):
        chance = random.Random(f"{name} {seed}")
        data = mutated(SAMPLES[name], chance)
        read(data)
        read(data, chance.choice(list(FORMATS)))


@pytest.mark.parametrize("name", FORMATS)
def test_every_reader_on_everything(name):
    for data in SAMPLES.values():
        read(data, name)


@pytest.mark.parametrize(
    "data",
    [
        b"a." * 300_000,
        b"a" * 600_000,
        b"[.]" * 200_000,
        b"http://" * 80_000,
        b"a@" * 200_000,
        b"\\." * 200_000,
        b"1.2.3.4/" * 60_000,
        b":" * 300_000,
        b"0:" * 200_000,
        b"<" * 300_000,
        b'"' * 300_000 + b"\n",
        b'"a","b"\n' * 10 + b'"' * 100_001 + b",\n" * 1000,
        b"HKLM\\" * 80_000,
        b" \t" * 200_000 + b"x",
        b"| " * 200_000,
        b"(" * 300_000,
        b"- " * 200_000,
        b"f" * 63 + b"f." * 100_000,
        b"evil [ . ] " * 40_000,
        b"## " * 100_000 + b":",
        b"a: " * 100_000,
        b"evil[.]com " * 30_000,
        b"1.2.3.4 " * 40_000,
        b"a,b[.]com;" * 30_000,
    ],
    ids=lambda data: data[:10].decode(),
)
@pytest.mark.parametrize("name", ["csv", "list", "report"])
def test_lines_made_to_waste_time(name, data):
    read(b"evil[.]com x\n" + data, name)
