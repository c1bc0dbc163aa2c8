"""Which of several columns a row is about, and hashes that are of no file."""

import polars as pl
import pytest

from tcetl.errors import FeedError
from tcetl.feeds import open_feed
from tcetl.transform import ColumnMap, normalise
from tcetl.transform.columns.leading import leading
from tcetl.transform.vocabulary import TYPED_NAMES, plain_name

HOSTS = [f"h{n}.example" for n in range(20)]
ADDRESSES = [f"192.0.2.{n}" for n in range(20)]
URLS = [f"http://{host}/x" for host in HOSTS]
NETWORKS = [f"10.{n}.0.0/16" for n in range(20)]
NUMBERS = [str(64496 + n) for n in range(20)]
SHA256 = [f"{n:064x}" for n in range(1, 21)]
MD5 = [f"{n:032x}" for n in range(1, 21)]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"asn": NUMBERS, "domain": HOSTS}, ("asn", "ASN")),
        ({"domain": HOSTS, "asn": NUMBERS}, ("domain", "Host")),
        ({"ip": ADDRESSES, "domain": HOSTS, "asn": NUMBERS}, ("ip", "Address")),
        ({"Domain": HOSTS, "IP Address": ADDRESSES}, ("Domain", "Host")),
        ({"network": NETWORKS, "asn": NUMBERS, "hostname": HOSTS}, ("network", "CIDR")),
        ({"ip": ADDRESSES, "url": URLS}, ("url", "URL")),  # a URL names more, wherever it stands
        ({"md5": MD5, "sha256": SHA256}, ("sha256", "File")),
        ({"md5": MD5, "sha256": [*SHA256[:9], *[""] * 11]}, ("md5", "File")),  # filled in half of the rows
        ({"ip": ADDRESSES, "url": [*URLS[:12], *[""] * 8]}, ("ip", "Address")),
        ({"host": ["isp.example"] * 20, "ip": ADDRESSES}, ("ip", "Address")),  # says the same again and again
        ({"url": URLS[:10] * 2, "ip": ADDRESSES}, ("url", "URL")),  # seen from two sides
        ({"domain": ["n/a"] * 20, "ip": ADDRESSES}, ("ip", "Address")),
        ({"domain": ["?"] * 20, "ip": ["?"] * 20}, ("domain", "Host")),  # whose rows will say what is wrong
        ({"mail": ["a@b.example"]}, ("mail", "EmailAddress")),
    ],
)
def test_the_column_that_the_others_describe(columns, expected):
    sample = pl.DataFrame(columns)
    by_name = {plain_name(name): name for name in columns}
    assert leading(sample, [(by_name[name], kind) for name, kind in TYPED_NAMES.items() if name in by_name]) == expected


FINGERPRINTS = {
    "SSLBL": "# Listingdate,SHA1,Listingreason\n" + "".join(f"2025-01-01,{n:040x},X C&C\n" for n in range(1, 9)),
    "its JA3 list": "# ja3_md5,Firstseen,Lastseen,Listingreason\n"
    + "".join(f"{n:032x},2025-01-01,2025-01-01,X\n" for n in range(1, 9)),
    "by its banner": "# List of certificate fingerprints\nhash,x\n" + "".join(f"{n:040x},y\n" for n in range(1, 9)),
    "by its column": "cert_sha1,x\n" + "".join(f"{n:040x},y\n" for n in range(1, 9)),
}


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_hashes_that_are_of_no_file_are_refused(tmp_path, name):
    path = tmp_path / "feed.csv"
    path.write_text(FINGERPRINTS[name])
    with pytest.raises(FeedError, match=r"are of (TLS certificates|something else than files)") as caught:
        normalise(open_feed(path), owner="O")
    assert "[columns]" in caught.value.hint
    column = next(one for one in open_feed(path).columns if one.lower() in ("sha1", "ja3_md5", "hash", "cert_sha1"))
    found = normalise(open_feed(path), owner="O", columns=ColumnMap(value=column))  # who says so is believed
    assert found.counts.indicators == {"File": 8}


def test_such_hashes_beside_an_indicator_are_left_alone(tmp_path):
    path = tmp_path / "feed.csv"
    path.write_text("seen,addr,ja3\n" + "".join(f"2025,192.0.2.{n},{n:032x}\n" for n in range(1, 9)))
    found = normalise(open_feed(path), owner="O")
    assert (found.counts.indicators, found.notes) == ({"Address": 8}, [])
    path.write_text(
        "# signed with a stolen TLS certificate\nsha256,imphash\n"
        + "".join(f"{n:064x},{n:032x}\n" for n in range(1, 9))
    )
    assert normalise(open_feed(path), owner="O").counts.indicators == {"File": 8}
