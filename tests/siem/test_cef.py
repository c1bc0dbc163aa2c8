"""CEF against two independent parsers, and its limits to the character."""

from datetime import UTC, datetime
from typing import Any

import cefp
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vrl_python import VRLRuntime

from tcetl.siem.cef import Cef

from .conftest import GOLDEN, HOSTILE, batch_of, cleaned, record

TYPES = ["Address", "Host", "URL", "EmailAddress", "File", "CIDR", "Mutex", "User Agent", "Custom|=\\\n"]
MODIFIED = datetime(2024, 6, 15, 8, 30, 0, 120_000, tzinfo=UTC)


def encode(*rows: dict[str, Any], **options: Any):
    return Cef(**options).encode(pl.from_arrow(batch_of(*rows)))


def line_of(*rows: dict[str, Any], **options: Any) -> str:
    return bytes(encode(*rows, **options).text).decode().removesuffix("\n")


def extension_of(row: dict[str, Any], **options: Any) -> dict[str, str]:
    return cefp.parse(line_of(row, **options))["extension"]


rows = st.builds(
    record,
    type=st.sampled_from(TYPES),
    summary=HOSTILE,
    owner_name=HOSTILE,
    description=HOSTILE,
    web_link=HOSTILE,
    source=HOSTILE,
    tags=st.lists(HOSTILE, max_size=3),
    security_labels=st.lists(HOSTILE, max_size=2),
    last_modified=st.just(MODIFIED),
)


@given(rows)
def test_no_value_can_create_a_field_or_a_line(row):
    encoded = encode(row, typed_keys=False)
    if not cleaned(row["summary"]):
        assert encoded.skipped["summary-empty"] == 1
        assert encoded.written == 0
        assert bytes(encoded.text) == b""
        return

    text = bytes(encoded.text).decode()
    assert text.splitlines(keepends=True) == [text]
    event = cefp.parse(text.removesuffix("\n"))

    kind = cleaned(row["type"]).replace("\n", " ")
    expected = {
        "cat": f"/Threat Intelligence/Indicator/{kind}",
        "rt": "1718440200120",
        "msg": cleaned(row["description"])[:1023].rstrip(),
        "cs1": cleaned(row["summary"]),
        "cs2": kind,
        "cs3": cleaned(row["owner_name"]),
        "cs4": cleaned("; ".join(tag["name"] for tag in row["tags"])),
        "cs5": cleaned(row["web_link"]),
        "cs6": cleaned("; ".join(row["security_labels"])),
        "ThreatConnectExportSource": cleaned(row["source"]),
    }
    extension = event["extension"]
    assert {key: value for key, value in extension.items() if not key.endswith("Label")} == {
        key: value for key, value in expected.items() if value
    }
    assert {key.removesuffix("Label") for key in extension if key.endswith("Label")} == {
        key for key in expected if key.startswith("cs") and expected[key]
    }
    assert event["name"] == f"Threat indicator: {kind}"
    assert event["severity"] == "0"


@pytest.mark.parametrize("line", (GOLDEN / "indicators.cef").read_text(encoding="utf-8").splitlines())
def test_golden_lines_read_alike_in_vector(line):
    ours = cefp.parse(line)
    theirs = VRLRuntime.run(". = parse_cef!(.line)", {"line": line}, "UTC").processed_event

    assert theirs == {
        "cefVersion": ours["version"],
        "deviceVendor": ours["device"]["vendor"],
        "deviceProduct": ours["device"]["product"],
        "deviceVersion": ours["device"]["version"],
        "deviceEventClassId": ours["device"]["event_class_id"],
        "name": ours["name"],
        "severity": ours["severity"],
        **ours["extension"],
    }


@pytest.mark.parametrize(
    ("rating", "confidence", "own", "weighted"),
    [(None, None, 0, 0), (0.0, 100, 0, 0), (0.24, None, 0, 0), (0.25, 100, 1, 1), (2.5, 85, 5, 4), (4.0, 85, 8, 7),
     (5.0, 100, 10, 10), (5.0, None, 10, 5), (9.0, 100, 10, 10), (-1.0, 50, 0, 0), (float("nan"), 50, 0, 0)],
)  # fmt: skip
def test_severity(rating, confidence, own, weighted):
    row = record(rating=rating, confidence=confidence)

    assert cefp.parse(line_of(row))["severity"] == str(own)
    assert cefp.parse(line_of(row, severity="weighted"))["severity"] == str(weighted)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (record(type="Address", summary="198.51.100.23"), {"dst": "198.51.100.23"}),
        (record(type="Address", summary="2001:db8::1"),
         {"c6a3": "2001:db8::1", "c6a3Label": "Destination IPv6 Address"}),
        (record(type="Address", summary="not an address: at all"), {}),
        (record(type="Host", summary="a.example"), {"dhost": "a.example"}),
        (record(type="URL", summary="http://a.example/?b=c"), {"request": "http://a.example/?b=c"}),
        (record(type="EmailAddress", summary="a@b.example"), {"suser": "a@b.example"}),
        (record(type="User Agent", summary="Mozilla/5.0"), {"requestClientApplication": "Mozilla/5.0"}),
        (record(type="File", md5="a" * 32), {"fileHash": "a" * 32, "flexString1": "a" * 32, "flexString1Label": "MD5"}),
        (record(type="File", sha1="b" * 40, size=5),
         {"fileHash": "b" * 40, "fsize": "5", "flexString2": "b" * 40, "flexString2Label": "SHA1"}),
        (record(type="File", sha256="c" * 64), {"fileHash": "c" * 64}),
        (record(type="Registry Key", summary=r"HKLM\A"), {"filePath": r"HKLM\A", "fileType": "RegistryKey"}),
        (record(type="Registry Key", summary=r"HKLM\A : Run"),
         {"filePath": r"HKLM\A", "fname": "Run", "fileType": "RegistryKey"}),
        (record(type="Registry Key", summary=r"HKLM\A :  : REG_SZ"),
         {"filePath": r"HKLM\A", "fileType": "RegistryKey"}),
        (record(type="Registry Key", summary=r"HKLM\A : b : c : REG_SZ"),
         {"filePath": r"HKLM\A", "fname": "b : c", "fileType": "RegistryKey"}),
        (record(type="CIDR", summary="203.0.113.0/24"), {}),
        (record(type="Custom", summary="x", md5="a" * 32, size=4), {}),
    ],
)  # fmt: skip
def test_typed_keys(row, expected):
    typed = extension_of(row).items() - extension_of(row, typed_keys=False).items()

    assert dict(typed) == expected


def test_an_address_may_be_the_source():
    assert extension_of(record(type="Address", summary="198.51.100.23"), address_as="src")["src"] == "198.51.100.23"
    assert extension_of(record(type="Address", summary="2001:db8::1"), address_as="src")["c6a2"] == "2001:db8::1"


def test_a_pipe_may_be_escaped():
    row = record(type="URL", summary="http://a.example/?b|c")

    assert " request=http://a.example/?b|c " in line_of(row)
    assert r" request=http://a.example/?b\|c " in line_of(row, ext_pipe="escape")


class TestLimits:
    """Characters, not bytes, and before escaping: 'ü=' is two."""

    def test_a_url_is_never_cut(self):
        fits, too_long, skipped = ("ü=" * 600)[:1023], ("ü=" * 600)[:1024], "x" * 4001
        encoded = encode(*[record(type="URL", summary=text) for text in (fits, too_long, "x" * 4000, skipped)])
        first, second, third = (cefp.parse(line)["extension"] for line in bytes(encoded.text).decode().splitlines())

        assert first["request"] == first["cs1"] == fits
        assert "request" not in second
        assert second["cs1"] == too_long
        assert third["cs1"] == "x" * 4000
        assert encoded.written == 3
        assert encoded.skipped["summary-too-long"] == 1
        assert encoded.truncated["request"] == 2

    def test_free_text_is_cut(self):
        row = record(
            description="ü=" * 600, tags=["t" * 3000, "u" * 3000], source="s" * 1024, security_labels=["l" * 4001]
        )
        encoded = encode(row)
        extension = cefp.parse(bytes(encoded.text).decode().removesuffix("\n"))["extension"]

        assert extension["msg"] == ("ü=" * 600)[:1023]
        assert extension["cs4"] == ("t" * 3000 + "; " + "u" * 3000)[:4000]
        assert extension["cs6"] == "l" * 4000
        assert extension["ThreatConnectExportSource"] == "s" * 1023
        assert {key: count for key, count in encoded.truncated.items() if count} == {
            "msg": 1,
            "cs4": 1,
            "cs6": 1,
            "ThreatConnectExportSource": 1,
        }

    def test_a_cut_leaves_no_blank_at_the_end(self):
        assert extension_of(record(description="x" * 1020 + "    y"))["msg"] == "x" * 1020

    def test_a_link_is_left_out_rather_than_cut(self):
        encoded = encode(record(web_link="https://a.example/" + "x" * 4000))

        assert b"cs5" not in bytes(encoded.text)
        assert encoded.truncated["cs5"] == 1

    def test_header_fields(self):
        event = cefp.parse(line_of(record(type="T" * 2000)))

        assert len(event["name"]) == 512
        assert len(event["device"]["event_class_id"]) == 1023
        assert len(event["extension"]["cat"]) == 1023


def test_counts_reach_the_report(exported):
    rows = [record(), record(summary="  "), record(summary="x" * 5000), record(description="d" * 2000)]

    text, report = exported("cef", *rows)

    assert text.count(b"\n") == report.written == 2
    assert report.skipped == {"summary-empty": 1, "summary-too-long": 1}
    assert report.truncated == {"msg": 1}
