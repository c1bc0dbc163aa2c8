"""No input crashes the way from bytes to indicators: a feed is used, or refused with a FeedError."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tcetl.errors import FeedError
from tcetl.feeds import open_feed
from tcetl.transform import normalise

SAMPLES = [
    b'# "id","dateadded","url","tags"\r\n"1","2025-01-01 00:00:00","http://a.example/x,y","elf,Mozi"\r\n',
    b'ioc, type, sha256\n"192.0.2.1", "ip:port", ""\n"b.example", "domain", "n/a"\n# END\n',
    b"# list\n192.0.2.1 # why\nhxxp://b[.]example/\nd41d8cd98f00b204e9800998ecf8427e;remark\n0.0.0.0 c.example\n",
    b"asn,rir,domain,ip,email\n64496,x,a.example,192.0.2.1,a@b.example\n64497,x,,192.0.2.2,a@b.example\n",
    b"# Certificates\nListingdate,SHA1,Listingreason\n2025-01-01,da39a3ee5e6b4b0d3255bfef95601890afd80709,x\n",
    b"\xef\xbb\xbfDomain;Use\nb\xc3\xbccher.example;x\nc.example\xca;y\n",
]
PIECES = st.sampled_from(
    [b'"', b",", b"\n", b"\r", b"\x00", b"\xff", b"#", b";", b"\t", b"\xc3", b"http://", b"[.]", b'""', b"xn--"]
)


@st.composite
def mutated(draw):
    data = draw(st.sampled_from(SAMPLES)) * draw(st.integers(1, 4))
    for at, piece, cut in draw(st.lists(st.tuples(st.integers(0, len(data)), PIECES, st.integers(0, 9)), max_size=8)):
        data = data[:at] + piece + data[at + cut :]
    return data


@settings(deadline=None, max_examples=150)
@given(st.one_of(mutated(), st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_bytes_to_indicators(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "feed.csv"
    path.write_bytes(data)
    try:
        result = normalise(open_feed(path), owner="O", tags=("x",))
    except FeedError:
        return
    result.indicators.validate(full=True)
    result.rejects.validate(full=True)
    rows = result.indicators.num_rows + result.rejects.num_rows
    assert rows == result.counts.rows_read
    lines = data.count(b"\n") + data.count(b"\r") + 1
    places = [*result.rejects.to_pylist(), *result.indicators["origin"].to_pylist()]
    named = [(one["row"], one["pointer"]) for one in places if one["pointer"]]
    assert len(set(named)) == len(named)
    assert all(1 <= one["row"] <= lines for one in places)
