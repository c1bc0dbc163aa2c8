"""Feeds over HTTP: conditional, retried, limited, and never a way into the own network."""

import gzip
import json
import time

import pytest
from upath import UPath

from tcetl.errors import FeedError, PublishError
from tcetl.feeds import open_feed
from tcetl.feeds.sources import Fetching, FetchState, fetch
from tcetl.feeds.sources.pinning import is_public, refuse_private

OPEN = Fetching(allow_private=True, retries=0, timeout=10)
LIST = b"192.0.2.1\n192.0.2.2\n"


def values(feed):
    return [value for batch in feed.batches() for value in batch.frame["value"]]


def test_a_feed_by_its_address(web):
    web.serve("/lists/bad.txt", LIST)
    feed = open_feed(web.url("/lists/bad.txt?key=s3cret#x"), fetching=OPEN)
    assert values(feed) == ["192.0.2.1", "192.0.2.2"]
    assert (feed.name, feed.file) == ("bad", web.url("/lists/bad.txt"))
    assert web.asked[0].path == "/lists/bad.txt?key=s3cret"
    assert web.asked[0].headers["user-agent"].startswith("tcetl/")


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_what_the_server_or_the_publisher_compressed_is_unpacked(web, encoding):
    packed = gzip.compress(LIST)
    web.serve("/by-server.txt", packed if encoding == "gzip" else LIST, Content_Encoding=encoding)
    web.serve("/by-publisher.txt.gz", packed)
    assert values(open_feed(web.url("/by-server.txt"), fetching=OPEN)) == ["192.0.2.1", "192.0.2.2"]
    assert values(open_feed(web.url("/by-publisher.txt.gz"), fetching=OPEN)) == ["192.0.2.1", "192.0.2.2"]


def test_nothing_new_is_known_only_after_a_commit(web, tmp_path):
    def page(handler):
        if handler.headers.get("If-None-Match") == '"v1"' and handler.headers.get("If-Modified-Since") == "then":
            return 304, {}, b""
        return 200, {"ETag": '"v1"', "Last-Modified": "then"}, LIST

    web.pages["/list.txt"] = page
    path = tmp_path / "state" / "fetched.json"
    address = web.url("/list.txt?key=s3cret")
    for _ in range(2):  # as long as nobody commits, everything is fetched anew
        fetched = fetch(address, OPEN, state=FetchState(path))
        assert fetched.source is not None
        assert not path.exists()
    fetched.commit()
    assert "s3cret" not in path.read_text()
    assert web.url("/list.txt") in path.read_text()
    again = fetch(address, OPEN, state=FetchState(path))
    assert again.source is None
    again.commit()
    assert fetch(address, OPEN, state=FetchState(path)).source is None
    assert fetch(address, OPEN).source is not None
    assert fetch(web.url("/list.txt?key=other"), OPEN, state=FetchState(path)).source is not None


def test_a_state_that_is_none_is_refused(tmp_path):
    path = tmp_path / "state.json"
    for content in (b"", b"[]", b'{"version": 2}', b'{"version": 1, "addresses": [1]}', b'{"version": 1, "\xff": 1}'):
        path.write_bytes(content)
        with pytest.raises(FeedError, match="is no state of fetches"):
            FetchState(path)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"state": "s", "learnt": []}', b'{"\xff": 1}'])
def test_what_a_load_kept_of_a_fetch_and_is_damaged_is_refused(tmp_path, content):
    path = UPath(tmp_path / "fetched.json")
    FetchState(tmp_path / "state.json").keep(path)
    FetchState.commit_kept(path)
    path.write_bytes(content)
    with pytest.raises(FeedError, match=r"fetched\.json is damaged"):
        FetchState.commit_kept(path)


def test_a_state_in_an_object_store(web):
    web.serve("/list.txt", LIST, ETag="v1")
    path = UPath("memory://state-test/fetched.json")
    fetch(web.url("/list.txt"), OPEN, state=FetchState(path)).commit()
    assert FetchState(path).known(web.url("/list.txt"))["ETag"] == "v1"


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (401, "key or a login"),
        (403, "is the key right"),
        (404, "moved or closed"),
        (410, "closed"),
        (451, ""),
        (300, ""),
    ],
)
def test_refusals_are_told_at_once_and_without_the_query(web, status, hint):
    web.serve("/list.txt", b"no", status=status)
    with pytest.raises(FeedError, match=f"{status}") as caught:
        fetch(web.url("/list.txt?key=s3cret"), Fetching(allow_private=True))
    assert len(web.asked) == 1
    assert "s3cret" not in str(caught.value)
    assert hint in caught.value.hint


def test_what_may_pass_is_tried_again_and_when_the_server_says(web, quick):
    answers = iter([(503, {}, b""), (429, {"Retry-After": "7"}, b""), (200, {}, LIST)])
    web.pages["/list.txt"] = lambda _: next(answers)
    assert fetch(web.url("/list.txt"), Fetching(allow_private=True)).source
    assert len(web.asked) == 3
    assert quick[1] == 7
    web.serve("/busy.txt", status=429, Retry_After="4000")
    with pytest.raises(FeedError, match="come back in 4000 s"):
        fetch(web.url("/busy.txt"), Fetching(allow_private=True))
    web.serve("/down.txt", status=500)
    with pytest.raises(FeedError, match="the server says 500"):
        fetch(web.url("/down.txt"), Fetching(allow_private=True, retries=2))
    assert sum(one.path == "/down.txt" for one in web.asked) == 3


def test_an_answer_that_breaks_off_is_no_feed_and_is_tried_again(web, quick):
    cut = iter([True, False])
    web.pages["/list.txt"] = lambda _: (200, {"Content-Length": "20"} if next(cut, True) else {}, LIST[:-3])

    def short(handler):
        handler.close_connection = True
        return 200, {"Content-Length": "999"}, LIST

    web.pages["/short.txt"] = short
    with pytest.raises(FeedError, match="ended early after 20 bytes"):
        fetch(web.url("/short.txt"), Fetching(allow_private=True, retries=1))
    assert len(web.asked) == 2


def test_an_answer_that_is_too_large_or_too_slow(web):
    web.serve("/list.txt", LIST * 1000)
    with pytest.raises(FeedError, match="more than 1,000 bytes"):
        fetch(web.url("/list.txt"), Fetching(allow_private=True, max_bytes=1000))
    web.serve("/bomb.txt", gzip.compress(b"a" * 5_000_000), Content_Encoding="gzip")
    with pytest.raises(FeedError, match="more than 1,000,000 bytes"):
        fetch(web.url("/bomb.txt"), Fetching(allow_private=True, max_bytes=1_000_000))

    def drip(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.02)

    web.pages["/drip.txt"] = drip
    with pytest.raises(FeedError, match=r"took more than 0\.1 s"):
        fetch(web.url("/drip.txt"), Fetching(allow_private=True, max_seconds=0.1))
    web.pages["/stalled.txt"] = lambda _: time.sleep(1)
    with pytest.raises(FeedError, match="timed out"):
        fetch(web.url("/stalled.txt"), Fetching(allow_private=True, timeout=0.1, retries=0))


def test_keys_are_sent_where_they_belong_and_are_told_to_nobody(web):
    web.serve("/k3y/list.txt", LIST)
    address = web.url("/{secret}/list.txt")
    feed = open_feed(address, fetching=Fetching(secret="k3y", allow_private=True))
    assert feed.file == address
    assert values(feed)
    for how in (
        Fetching(secret="k3y", secret_header="Auth-Key", allow_private=True),
        Fetching(secret="k3y", secret_header="Authorization", allow_private=True),
        Fetching(login=("me", "k3y"), allow_private=True),
        Fetching(headers={"X-Key": "k3y"}, allow_private=True),
    ):
        assert "k3y" not in repr(how)
        web.serve("/list.txt", LIST)
        assert fetch(web.url("/list.txt"), how).source
    sent = [one.headers for one in web.asked[1:]]
    assert sent[0]["auth-key"] == "k3y"
    assert sent[1]["authorization"] == "Bearer k3y"
    assert sent[2]["authorization"].startswith("Basic ")
    assert sent[3]["x-key"] == "k3y"
    with pytest.raises(FeedError, match="needs a key"):
        fetch(address, OPEN)
    with pytest.raises(FeedError, match="has a user name in it") as caught:
        fetch(f"http://me:k3y@127.0.0.1:{web.port}/list.txt", OPEN)
    assert "k3y" not in str(caught.value)


def test_redirects_are_followed_without_keys_to_strangers(web):
    web.serve("/old.txt", status=302, Location="/new.txt")
    web.serve("/new.txt", status=307, Location=web.url("/list.txt", host="127.0.0.2"))
    web.serve("/list.txt", LIST)
    how = Fetching(headers={"X-Key": "k3y"}, login=("me", "k3y"), allow_private=True)
    feed = open_feed(web.url("/old.txt"), fetching=how)
    assert feed.file == web.url("/old.txt")
    assert [("x-key" in one.headers, "authorization" in one.headers) for one in web.asked] == [
        (True, True), (True, True), (False, False),
    ]  # fmt: skip
    web.serve("/loop.txt", status=301, Location="/loop.txt")
    with pytest.raises(FeedError, match="redirects more than 5 times"):
        fetch(web.url("/loop.txt"), OPEN)
    for target in ("file:///etc/passwd", "ftp://192.0.2.1/x", "", "gopher:x", "http://[", "http://h:99999/"):
        web.serve("/away.txt", status=302, Location=target)
        with pytest.raises(FeedError, match=r"not http or https|redirects (more|to)|leads to no address"):
            fetch(web.url("/away.txt"), OPEN)


def test_addresses_that_are_not_of_the_public_internet():
    for address in (
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fd00::1", "ff02::1", "::ffff:10.0.0.1",
        "2002:a00:1::", "64:ff9b::a00:1", "64:ff9b::7f00:1",
    ):  # fmt: skip
        assert not is_public(address), address
    for address in ("8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808", "2002:808:808::"):
        assert is_public(address), address
    for host in ("localhost", "LOCALHOST.", "a.localhost", "db.internal", "nas.local", "[::1]", "127.0.0.1"):
        with pytest.raises(FeedError, match="not on the public internet"):
            refuse_private(host)
    refuse_private("a.example")


def test_private_addresses_are_never_connected_to(web):
    web.serve("/list.txt", LIST)
    for host in ("127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]", "2130706433", "0x7f000001", "127.1"):
        with pytest.raises(FeedError, match="public internet") as caught:
            fetch(web.url("/list.txt", host=host))
        assert "allow_private" in caught.value.hint
    assert web.asked == []


def test_a_name_is_checked_where_it_leads_each_time(web, names):
    web.serve("/list.txt", LIST)
    how = Fetching(retries=0, proxies={})
    names["feeds.example"] = [["127.0.0.1"]]
    assert fetch(web.url("/list.txt", host="feeds.example"), how).source
    assert web.asked[0].headers["host"] == f"feeds.example:{web.port}"
    names["feeds.example"] = [["127.0.0.2"]]  # the name now leads inside
    with pytest.raises(FeedError, match=r"feeds\.example has no address on the public internet"):
        fetch(web.url("/list.txt", host="feeds.example"), how)
    names["both.example"] = [["127.0.0.2", "127.0.0.1"]]  # only the public one is asked
    assert fetch(web.url("/list.txt", host="both.example"), how).source
    assert len(web.asked) == 2


def test_a_redirect_into_the_own_network_is_not_followed(web, names):
    web.serve("/inside.txt", LIST)
    names["feeds.example"] = [["127.0.0.1"]]
    names["inside.example"] = [["127.0.0.2"]]
    for target in (web.url("/inside.txt", host="127.0.0.2"), web.url("/inside.txt", host="inside.example")):
        web.serve("/list.txt", status=302, Location=target)
        with pytest.raises(FeedError, match="public internet"):
            fetch(web.url("/list.txt", host="feeds.example"), Fetching(retries=0, proxies={}))
    # A name that leads outside at first and inside at the second look, on the way of one fetch.
    names["rebind.example"] = [["127.0.0.1"], ["127.0.0.2"]]
    web.serve("/list.txt", status=302, Location=f"http://rebind.example:{web.port}/inside.txt", Connection="close")
    with pytest.raises(FeedError, match="public internet"):
        fetch(web.url("/list.txt", host="rebind.example"), Fetching(retries=0, proxies={}))
    assert {one.path for one in web.asked} == {"/list.txt"}


def test_a_certificate_that_nobody_trusts(web):
    trustme = pytest.importorskip("trustme")
    import ssl
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(LIST)

        def log_message(self, *_):
            pass

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    address = f"https://localhost:{server.server_address[1]}/list.txt"
    try:
        with pytest.raises(FeedError, match="certificate of localhost is not trusted"):
            fetch(address, OPEN)
        with authority.cert_pem.tempfile() as bundle:
            assert fetch(address, Fetching(allow_private=True, verify=bundle)).source
    finally:
        server.shutdown()
        server.server_close()


def test_a_misp_feed_on_the_web(web, tmp_path):
    uuid, gone = "c37d49bb-2287-5087-b408-ce338bf8d71f", "d37d49bb-2287-5087-b408-ce338bf8d71f"
    event = {"Event": {"Attribute": [{"type": "domain", "value": "a.example", "uuid": uuid, "to_ids": True}]}}
    web.serve("/osint/manifest.json", json.dumps({uuid: {}, gone: {}}), ETag="m1")
    web.serve(f"/osint/{uuid}.json", json.dumps(event))
    for address in (web.url("/osint/"), web.url("/osint/manifest.json")):
        feed = open_feed(address, fetching=OPEN, format="misp")
        [batch] = feed.batches()
        assert batch.frame["_file"].to_list() == [web.url(f"/osint/{uuid}.json")]
        assert (feed.name, feed.file) == ("osint", web.url("/osint/"))
        assert feed.notes == ["1 of 2 events that manifest.json lists are not there"]
    web.serve(f"/osint/{uuid}.json", status=403)
    with pytest.raises(FeedError, match="403"):
        list(feed.batches())


def test_what_is_no_address_or_no_feed(web):
    web.serve("/login", "<!doctype html><html>log in</html>")
    with pytest.raises(FeedError, match="is an HTML page"):
        open_feed(web.url("/login"), fetching=OPEN)
    web.serve("/empty.txt", b"")
    with pytest.raises(FeedError, match="is empty"):
        open_feed(web.url("/empty.txt"), fetching=OPEN)
    for address in ("http://", "http:///x", "http://[bad/", "http://a b/", "http://h:99999/"):
        with pytest.raises(FeedError):
            fetch(address, OPEN)
    with pytest.raises(FeedError, match=r"connection refused|timed out|cannot be fetched"):
        fetch("http://127.0.0.1:1/x", OPEN)


def test_through_a_proxy_names_are_its_business_and_addresses_are_not(web):
    web.serve("http://feeds.example/list.txt", LIST)
    how = Fetching(retries=0, proxies={"http": web.url()})
    assert values(open_feed("http://feeds.example/list.txt", fetching=how)) == ["192.0.2.1", "192.0.2.2"]
    for host in ("127.0.0.2", "localhost", "10.0.0.1"):
        with pytest.raises(FeedError, match="not on the public internet"):
            fetch(f"http://{host}/list.txt", how)
    assert [one.path for one in web.asked] == ["http://feeds.example/list.txt"]


def test_a_full_disk_for_what_is_fetched(web, little_room):
    web.serve("/list.txt", b"http://a.example/x\n" * 1000)
    little_room(2_000)
    with pytest.raises(PublishError, match=r"cannot write .*tcetl-feed-.*: File too large") as caught:
        fetch(web.url("/list.txt"), OPEN)
    assert caught.value.hint
