"""MISP feeds on the web that are loaded again and again: only what is new is fetched, and nothing is lost."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from upath import UPath

from tcetl.catalogue import read, undeclared
from tcetl.catalogue.definition import Alarms, Expect
from tcetl.errors import FeedError, NothingNewError
from tcetl.feeds.sources import FetchState
from tcetl.pipeline import commit_fetched, plan_feed

UUID = "{}-2287-5087-b408-ce338bf8d71f"


class Osint:
    """A MISP feed on the web: events by UUID, each a host and the time stamp of its last change."""

    def __init__(self, web):
        self.web = web

    def publish(self, **stamps):
        listed = {self.uuid(name): {"timestamp": stamp} for name, stamp in stamps.items()}
        self.web.serve("/osint/manifest.json", json.dumps(listed), ETag=repr(sorted(stamps.items())))
        for name, stamp in stamps.items():
            attribute = {"type": "domain", "value": f"{name}{stamp}.example", "uuid": self.uuid(name), "to_ids": True}
            self.web.serve(f"/osint/{self.uuid(name)}.json", json.dumps({"Event": {"Attribute": [attribute]}}))

    def uuid(self, name):
        return UUID.format(name * 8)

    def load(self, state, run, **options):
        feed = msgspec.structs.replace(
            undeclared(self.web.url("/osint/"), "misp"),
            allow_private=True,
            expect=Expect(rows=(2, 9)),
            alarms=Alarms(volume="fail"),
        )
        self.web.asked.clear()
        planned = plan_feed(feed, "Demo Source", run, state=state, **options)
        sent = [
            one for chunk in planned.chunks for one in json.loads(planned.content(chunk.chunk)).get("indicator", [])
        ]
        hosts = [one["hostName"] for one in sent]
        fetched = [asked.path.removeprefix("/osint/")[0] for asked in self.web.asked]
        return planned, [host.removesuffix(".example") for host in hosts], "".join(fetched)


def test_of_a_misp_feed_that_changed_only_what_changed_is_fetched(web, tmp_path):
    osint, state = Osint(web), tmp_path / "state.json"
    osint.publish(a="1", b="1", c="1")
    first, hosts, fetched = osint.load(state, tmp_path / "1")
    assert (hosts, fetched) == (["a1", "b1", "c1"], "mabc")
    commit_fetched(first)
    osint.publish(a="1", b="2", d="1")  # one as it was, one changed, one gone, one new
    second, hosts, fetched = osint.load(state, tmp_path / "2")
    assert (hosts, fetched) == (["b2", "d1"], "mbd")
    _, hosts, fetched = osint.load(state, tmp_path / "3")  # the second was not loaded, so it is all the same again
    assert (hosts, fetched) == (["b2", "d1"], "mbd")
    osint.publish(a="1", b="2", c="1", d="1", e="1")  # and it crashes, and is loaded only after this
    commit_fetched(second)
    _, hosts, fetched = osint.load(state, tmp_path / "4")  # one that came back, one that is new
    assert (hosts, fetched) == (["c1", "e1"], "mce")


EVENTS = "abc"
STEPS = st.lists(
    st.tuples(st.just("change"), st.sampled_from(EVENTS), st.integers(0, 3))  # 0: it is gone
    | st.tuples(st.just("hide"), st.sampled_from(EVENTS))  # listed, and not there
    | st.tuples(st.just("read"))
    | st.tuples(st.just("load"), st.integers(0, 3)),  # what was read some readings ago, or never
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_whatever_crashes_or_comes_late_every_event_is_loaded_as_it_is_now(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("misp")
    feed = undeclared(str(folder / "feed"), "misp")
    (folder / "feed").mkdir()
    stamps, readings, loaded = {}, [], set()

    def publish():
        listed = {UUID.format(name * 8): {"timestamp": str(stamp)} for name, stamp in stamps.items() if stamp}
        (folder / "feed" / "manifest.json").write_text(json.dumps(listed))

    def change(name, stamp):
        stamps[name] = stamp
        attribute = {"type": "domain", "value": f"{name}{stamp}.example", "to_ids": True}
        event = folder / "feed" / f"{UUID.format(name * 8)}.json"
        event.write_text(json.dumps({"Event": {"Attribute": [attribute]}}))

    def take():
        publish()
        state = FetchState(folder / "state.json")
        try:
            reading = read(feed, owner="O", state=state)
        except FeedError:  # nothing new, or nothing there at all
            return
        state.keep(UPath(folder / f"{len(readings)}.json"))
        readings.append(set(reading.indicators["summary"].to_pylist()))

    def load(ago):
        if ago < len(readings):
            at = len(readings) - 1 - ago
            loaded.update(readings[at])
            FetchState.commit_kept(UPath(folder / f"{at}.json"))

    change("a", 1)
    change("b", 1)
    for what, *how in steps:
        if what == "hide":
            (folder / "feed" / f"{UUID.format(how[0] * 8)}.json").unlink(missing_ok=True)
        else:
            {"change": change, "read": take, "load": load}[what](*how)
    for name, stamp in stamps.items():
        change(name, stamp)  # all that is listed is there again
    before = len(readings)
    take()
    if len(readings) > before:
        load(0)
    assert loaded >= {f"{name}{stamp}.example" for name, stamp in stamps.items() if stamp}


def test_a_misp_feed_whose_manifest_lists_nothing_new_has_nothing_new(web, tmp_path):
    osint, state = Osint(web), tmp_path / "state.json"
    osint.publish(a="1", b="1")
    commit_fetched(osint.load(state, tmp_path / "1")[0])
    osint.publish(a="1")
    with pytest.raises(NothingNewError):
        osint.load(state, tmp_path / "2")
    osint.publish(a="1", b="1", c="1")
    event = web.pages.pop(f"/osint/{osint.uuid('c')}.json")  # listed before it is there
    with pytest.raises(NothingNewError):
        osint.load(state, tmp_path / "3")
    web.pages[f"/osint/{osint.uuid('c')}.json"] = event
    assert osint.load(state, tmp_path / "4")[1:] == (["c1"], "mc")


def test_an_event_without_a_time_stamp_is_always_read(web, tmp_path):
    osint, state = Osint(web), tmp_path / "state.json"
    osint.publish(a="1", b="")
    commit_fetched(osint.load(state, tmp_path / "1")[0])
    osint.publish(a="1", b="", c="1")
    assert osint.load(state, tmp_path / "2")[1:] == (["b", "c1"], "mbc")


def test_an_event_with_nothing_to_load_moves_the_state_too(web, tmp_path):
    osint, state = Osint(web), tmp_path / "state.json"
    osint.publish(a="1", b="1")
    commit_fetched(osint.load(state, tmp_path / "1")[0])
    osint.publish(a="1", b="1", c="1")
    web.serve(f"/osint/{osint.uuid('c')}.json", json.dumps({"Event": {"info": "a report", "uuid": osint.uuid("c")}}))
    planned, hosts, _ = osint.load(state, tmp_path / "2", groups=True)
    assert hosts == []
    assert json.loads(planned.content(0))["group"][0]["name"] == "a report"
    commit_fetched(planned)
    osint.publish(a="1", b="1", c="1", d="2")
    assert osint.load(state, tmp_path / "3")[1:] == (["d2"], "md")


def test_a_change_that_is_all_refused_is_told_once(web, tmp_path):
    """It is one part of a feed: were it to fail the load, it would be fetched, and fail, for ever."""
    osint, state = Osint(web), tmp_path / "state.json"
    osint.publish(a="1", b="1")
    commit_fetched(osint.load(state, tmp_path / "1")[0])
    osint.publish(a="1", b="1", c="1")
    bad = {"type": "domain", "value": "no host", "uuid": osint.uuid("c"), "to_ids": True}
    web.serve(f"/osint/{osint.uuid('c')}.json", json.dumps({"Event": {"Attribute": [bad]}}))
    planned, hosts, _ = osint.load(state, tmp_path / "2")
    assert (hosts, planned.counts["rejected"]) == ([], {"not-an-indicator": 1})
    commit_fetched(planned)
    with pytest.raises(NothingNewError):
        osint.load(state, tmp_path / "3")
