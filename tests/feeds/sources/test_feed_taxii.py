"""TAXII 2.1 against a small server of its own: discovery, paging, filters, state, and what goes wrong."""

import json
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import msgspec
import pytest

from tcetl.catalogue import read, undeclared
from tcetl.catalogue.definition import Alarms, Expect
from tcetl.errors import FeedError
from tcetl.feeds import open_feed
from tcetl.feeds.sources import Fetching, FetchState, fetch

OPEN = Fetching(allow_private=True, retries=0, login=("me", "pw"))
ID = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"
MEDIA = "application/taxii+json;version=2.1"


@pytest.fixture
def taxii(web):
    """A server with one readable collection of five indicators, added a second apart, two to a page."""
    objects = [
        {"type": "indicator", "id": f"indicator--{uuid4()}", "pattern": f"[mutex:name = 'm{n}']"} for n in range(5)
    ]

    def answer(document, **headers):
        return 200, {"Content-Type": MEDIA, **headers}, json.dumps(document).encode()

    def page(handler):
        if handler.headers["Accept"] != MEDIA:
            return 406, {}, b""
        if "Basic" not in handler.headers.get("Authorization", ""):
            return 401, {}, b""
        query = {name: value[0] for name, value in parse_qs(urlsplit(handler.path).query).items()}
        newer = [n for n in range(5) if f"2024-01-01T00:00:0{n}Z" > query.get("added_after", "")]
        start = int(query.get("next", 0))
        shown = newer[start : start + 2]
        more = start + 2 < len(newer)
        dates = {"X-TAXII-Date-Added-Last": f"2024-01-01T00:00:0{shown[-1]}Z"} if shown else {}
        document = {"more": more, "objects": [objects[n] for n in shown]} | ({"next": str(start + 2)} if more else {})
        return answer(document, **dates)

    web.pages["/taxii2/"] = lambda _: answer({"title": "T", "api_roots": [web.url("/api/")]})
    web.pages["/api/"] = lambda _: answer({"title": "A", "versions": [MEDIA], "max_content_length": 1})
    collections = [{"id": ID, "title": "Bad", "can_read": True}, {"id": "x", "title": "No", "can_read": False}]
    web.pages["/api/collections/"] = lambda _: answer({"collections": collections})
    web.pages[f"/api/collections/{ID}/objects/"] = page
    web.collections = collections
    return web


def mutexes(feed):
    return [value for batch in feed.batches() for value in batch.frame["value"]]


@pytest.mark.parametrize(
    "path",
    [f"/api/collections/{ID}/", f"/api/collections/{ID}", f"/api/collections/{ID}/objects/", "/api/", "/taxii2/"],
)
def test_a_collection_is_read_page_by_page(taxii, path):
    feed = open_feed(f"taxii+{taxii.url(path)}", fetching=OPEN)
    assert feed.format == "stix"
    assert mutexes(feed) == [f"m{n}" for n in range(5)]
    assert feed.file == f"taxii+{taxii.url(path)}"
    assert sum("/objects/" in one.path for one in taxii.asked) == 3


def test_filters_go_along_and_what_was_read_is_not_read_again(taxii, tmp_path):
    address = f"taxii+{taxii.url(f'/api/collections/{ID}/')}?limit=2&match[type]=indicator"
    state = FetchState(tmp_path / "state.json")
    assert len(mutexes(open_feed(fetch(address, OPEN, state=state).source))) == 5
    assert "match%5Btype%5D=indicator" in taxii.asked[0].path
    state.commit()
    assert fetch(address, OPEN, state=FetchState(tmp_path / "state.json")).source is None
    assert "added_after=2024-01-01T00%3A00%3A04Z" in taxii.asked[-1].path
    later = open_feed(f"{address}&added_after=2024-01-01T00:00:02Z", fetching=OPEN)
    assert mutexes(later) == ["m3", "m4"]


def test_what_was_added_is_no_feed_that_has_lost_its_rows(taxii, tmp_path):
    address = f"taxii+{taxii.url(f'/api/collections/{ID}/')}"
    feed = msgspec.structs.replace(
        undeclared(address, "stix"), expect=Expect(rows=(4, 9)), alarms=Alarms(volume="fail")
    )
    state = FetchState(tmp_path / "state.json")
    assert read(feed, owner="O", state=state, fetching=OPEN).counts["rows_read"] == 5
    state.learn(address, {"added_after": "2024-01-01T00:00:02Z"})
    state.commit()
    later = FetchState(tmp_path / "state.json")
    assert read(feed, owner="O", state=later, fetching=OPEN).counts["rows_read"] == 2
    later.commit()
    assert FetchState(tmp_path / "state.json").known(f"feed:{address}")["rows"] == "5"


def test_what_a_server_refuses_or_gets_wrong(taxii, quick):
    address = f"taxii+{taxii.url(f'/api/collections/{ID}/')}"
    with pytest.raises(FeedError, match="401"):
        fetch(address, Fetching(allow_private=True))
    taxii.collections.append({"id": "y", "title": "Worse", "can_read": True})
    with pytest.raises(FeedError, match="has 2 collections") as caught:
        fetch(f"taxii+{taxii.url('/taxii2/')}", OPEN)
    assert f"{address} (Bad)" in caught.value.hint
    objects = f"/api/collections/{ID}/objects/"
    for body, reason in [
        ({"more": True, "next": "a", "objects": []}, "from one page to the same again"),
        ({"more": True, "objects": []}, "but not where"),
        ({"objects": 5}, "does not answer as TAXII 2.1 does"),
        ({}, "holds no objects"),
    ]:
        taxii.serve(objects, json.dumps(body))
        with pytest.raises(FeedError, match=reason):
            fetch(address, OPEN)
    taxii.serve(objects, "<html>")
    with pytest.raises(FeedError, match=r"is this a TAXII 2\.1 server"):
        fetch(address, OPEN)
    answers = iter([(429, {"Retry-After": "3"}, b""), (200, {}, b'{"objects": [{"type": "mutex", "name": "m"}]}')])
    taxii.pages[objects] = lambda _: next(answers)
    assert fetch(address, Fetching(allow_private=True, retries=1)).source
    assert quick == [3]


def test_keys_stay_with_the_server_that_was_named(taxii):
    taxii.serve("/taxii2/", json.dumps({"api_roots": [taxii.url("/api/", host="127.0.0.2")]}))
    with pytest.raises(FeedError, match="401"):
        fetch(f"taxii+{taxii.url('/taxii2/')}", OPEN)
    assert ["authorization" in one.headers for one in taxii.asked] == [True, False, False]
