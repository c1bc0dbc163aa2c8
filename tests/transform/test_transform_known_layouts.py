"""Layouts of well-known feeds that publish no data we may keep: made-up rows of each, all the way to indicators."""

import json

import pytest

from tcetl.feeds import open_feed, stated_records
from tcetl.transform import normalise

MD5, SHA1, SHA256 = "d41d8cd98f00b204e9800998ecf8427e", "a" * 39 + "1", "b" * 63 + "2"

SPAMHAUS = """{"cidr":"192.0.2.0/24","sblid":"SBL1","rir":"ripencc"}
{"cidr":"2001:db8::/32","sblid":"SBL2","rir":"arin"}
{"type":"metadata","timestamp":1754000000,"size":99,"records":2,"copyright":"(c)","terms":"https://example.com/terms"}
"""
DROP = "; Spamhaus DROP List\n; Last-Modified: today\n192.0.2.0/24 ; SBL1\n198.51.100.0/24 ; SBL2\n"
PHISHTANK = """phish_id,url,phish_detail_url,submission_time,verified,verification_time,online,target
1,"http://a.example/x,y?q=1",http://phishtank.example/1,2025-01-02T03:04:05+00:00,yes,2025-01-02T03:05:05+00:00,yes,Other
2,"http://b.example/
",http://phishtank.example/2,2025-01-02T03:04:05+00:00,yes,2025-01-02T03:05:05+00:00,yes,"Bank, Inc"
"""
PHISHTANK_JSON = [
    {"phish_id": n, "url": f"http://{host}/", "phish_detail_url": f"http://phishtank.example/{n}",
     "submission_time": "2025-01-02T03:04:05+00:00", "verified": "yes", "details": [{"ip_address": "192.0.2.1"}],
     "target": "Other"}
    for n, host in enumerate(("a.example", "b.example"))
]  # fmt: skip
BAZAAR = f"""################
# MalwareBazaar recent malware samples (CSV)
################
# "first_seen_utc","sha256_hash","md5_hash","sha1_hash","reporter","file_name","signature","imphash"
"2025-01-02 03:04:05", "{SHA256}", "{MD5}", "{SHA1}", "jane", "a.exe", "n/a", "{MD5}"
# Number of entries: 1
"""
FIREHOL = "#\n# firehol_level1\n#\n# Entries             : 2 subnets, 257 unique IPs\n#\n10.0.0.0/8\n192.0.2.1\n"
THREATFOX = {
    "1": [{"ioc_value": "192.0.2.1:443", "ioc_type": "ip:port", "threat_type": "botnet_cc", "malware_printable": "X",
           "first_seen_utc": "2025-01-02 03:04:05", "confidence_level": 75, "tags": "a,b", "reference": None}],
    "2": [{"ioc_value": "a.example", "ioc_type": "domain", "threat_type": "botnet_cc", "malware_printable": "X",
           "first_seen_utc": "2025-01-02 03:04:05", "confidence_level": 50, "tags": None, "reference": None}],
}  # fmt: skip
DSHIELD = (
    "# DShield\n# Start\tEnd\tNetmask\n192.0.2.0\t192.0.2.255\t24\t100\tX\n198.51.100.0\t198.51.100.255\t24\t90\tY\n"
)
ASN_DROP = "".join(
    json.dumps({"asn": 64496 + n, "rir": "ripencc", "domain": f"h{n}.example", "cc": "ZZ", "asname": "X"}) + "\n"
    for n in range(3)
)
FEODO = json.dumps([
    {"ip_address": f"192.0.2.{n}", "port": 443, "status": "online", "hostname": None if n % 2 else f"h{n}.example",
     "as_number": 64496, "as_name": "X", "country": "ZZ", "malware": "X"}
    for n in range(4)
])  # fmt: skip
DSHIELD_MAIL = "# Start\tEnd\tNetmask\temail\n" + "".join(
    f"192.0.{n}.0\t192.0.{n}.255\t24\tabuse@isp{n}.example\n" for n in range(4)
)
BENKOW = "id;type;url;ip;date\n" + "".join(f"{n};Pony;http://h{n}.example/p;192.0.2.1;01-02-2025\n" for n in range(4))
ADBLOCK = "[Adblock Plus]\n! Title: x\n||a.example^$all\n||b.example^$all\n"


@pytest.mark.parametrize(
    ("text", "expected", "indicators", "stated"),
    [
        (SPAMHAUS, "ndjson", {"CIDR": 2}, 2),
        (DROP, "list", {"CIDR": 2}, None),
        (PHISHTANK, "csv", {"URL": 2}, None),
        (json.dumps(PHISHTANK_JSON), "json", {"URL": 2}, None),
        (BAZAAR, "csv", {"File": 1}, 1),
        (FIREHOL, "list", {"Address": 1, "CIDR": 1}, 2),
        (json.dumps(THREATFOX), "json", {"Address": 1, "Host": 1}, None),
        (DSHIELD, "csv", {"Address": 2}, None),
        (ASN_DROP, "ndjson", {"ASN": 3}, None),
        (FEODO, "json", {"Address": 4}, None),
        (DSHIELD_MAIL, "csv", {"Address": 4}, None),
        (BENKOW, "csv", {"URL": 4}, None),
        (ADBLOCK, "list", {"Host": 2}, None),
        ("http://a.example/x\nhttps://b.example/y\n", "list", {"URL": 2}, None),
        ("192.0.2.1,85\n192.0.2.2,60\n", "csv", {"Address": 2}, None),
    ],
)
def test_layout(tmp_path, text, expected, indicators, stated):
    path = tmp_path / "feed"
    path.write_text(text, newline="")
    feed = open_feed(path)
    result = normalise(feed, owner="O")
    assert feed.format == expected
    assert result.counts.indicators == indicators
    assert result.counts.rejected == {}
    assert stated_records(feed.comments) == stated


def test_what_the_rows_say_goes_along(tmp_path):
    path = tmp_path / "feed"
    path.write_text(json.dumps(THREATFOX))
    address, _ = normalise(open_feed(path), owner="O").indicators.to_pylist()
    assert (address["confidence"], [tag["name"] for tag in address["tags"]]) == (75, ["a", "b"])
    assert address["origin"]["pointer"] == "/1/0"
    path.write_text(BAZAAR)
    (sample,) = normalise(open_feed(path), owner="O").indicators.to_pylist()
    assert (sample["md5"], sample["sha1"], sample["sha256"]) == (MD5, SHA1, SHA256)
