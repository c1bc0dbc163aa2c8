"""The table of api §5.2, first as a function, then through batch jobs."""

import pytest

from tcetl.emulator.file_merge import Plan, plan

A, B, C = ("a", None, None), (None, "b", None), (None, None, "c")


def test_nothing_there():
    assert plan(A, [], "Merge", "FavorIncoming") == Plan(created=A)


def test_hashes_are_united_without_conflict():
    assert plan(("a", "b", None), [("a", None, "c")], "Merge", "FavorIncoming") == Plan(
        targets=(0,), hashes=("a", "b", "c")
    )


def test_merge_and_distribute_over_two_files():
    incoming = ("a", "b", None)
    merged = plan(incoming, [A, B], "Merge", "FavorIncoming")
    assert (merged.targets, merged.hashes, merged.removed, merged.absorbed) == ((0,), ("a", "b", None), (1,), (1,))
    assert merged.note
    assert plan(incoming, [A, B], "Distribute", "FavorIncoming") == Plan(targets=(0, 1))


@pytest.mark.parametrize(
    ("mode", "targets", "hashes", "created"),
    [
        ("FavorExisting", (0,), ("a", "old", None), None),
        ("FavorIncoming", (0,), ("a", "new", None), None),
        ("IgnoreExisting", (), None, (None, "new", None)),
        ("IgnoreIncoming", (), None, None),
        ("Split", (0,), None, None),
    ],
)
def test_conflict_with_the_incoming_file(mode, targets, hashes, created):
    decided = plan(("a", "new", None), [("a", "old", None)], "Merge", mode)
    assert (decided.targets, decided.hashes, decided.created, decided.removed) == (targets, hashes, created, ())


def test_ignore_existing_strips_the_hashes_of_every_match():
    decided = plan(("a", "b", "new"), [("a", None, "old"), (None, "b", None)], "Merge", "IgnoreExisting")
    assert (decided.created, decided.removed) == ((None, None, "new"), ())


def test_conflict_between_existing_files():
    matches = [("a", None, "x"), (None, "b", "y")]
    decided = plan(("a", "b", None), matches, "Merge", "IgnoreExisting")
    assert (decided.created, decided.removed) == (("a", "b", None), (0, 1))
    decided = plan(("a", "b", None), matches, "Merge", "FavorExisting")
    assert (decided.hashes, decided.removed) == (("a", "b", "x"), (1,))


MD5, SHA1, SHA256 = "A" * 32, "B" * 40, "C" * 64
OWNER = "Demo Source"


def test_merging_files_joins_their_metadata(api, tc_emulator):
    first = {"type": "File", "md5": MD5, "rating": 2, "tag": [{"name": "one"}]}
    second = {"type": "File", "sha1": SHA1, "rating": 4, "tag": [{"name": "two"}]}
    api.load(OWNER, {"indicator": [first]})
    tc_emulator.advance_clock(10)
    api.load(OWNER, {"indicator": [second]})
    both = {"type": "File", "summary": f"{MD5.lower()} : {SHA1} : {SHA256}", "confidence": 9}
    status, results = api.load(OWNER, {"indicator": [both]}, fileMergeMode="Merge")
    assert (status["successCount"], [entry["code"] for entry in results]) == (1, ["0x3001"])
    assert results[0]["severity"] == "Info"
    stored = tc_emulator.indicator(OWNER, "File", SHA256)
    assert (stored["value1"], stored["value2"], stored["value3"]) == (MD5, SHA1, SHA256)
    assert (stored["rating"], stored["confidence"]) == (4.0, 9)  # the most recently modified one is primary
    assert {tag["name"] for tag in stored["tags"]} == {"one", "two"}
    assert tc_emulator.counts(OWNER) == {"File": 1}


def test_conflict_warns(api, tc_emulator):
    api.load(OWNER, {"indicator": [{"type": "File", "md5": MD5, "sha1": SHA1}]})
    other = "D" * 40
    incoming = {"indicator": [{"type": "File", "md5": MD5, "sha1": other}]}
    _, results = api.load(OWNER, incoming, hashCollisionMode="FavorExisting")
    assert [entry["code"] for entry in results] == ["0x2003"]
    assert tc_emulator.indicator(OWNER, "File", other) is None
    api.load(OWNER, incoming, hashCollisionMode="FavorIncoming")
    assert tc_emulator.indicator(OWNER, "File", MD5)["value2"] == other
    api.load(OWNER, {"indicator": [{"type": "File", "md5": MD5, "sha1": SHA1}]}, hashCollisionMode="IgnoreExisting")
    assert tc_emulator.indicator(OWNER, "File", SHA1)["value1"] is None
    assert tc_emulator.counts(OWNER) == {"File": 2}
