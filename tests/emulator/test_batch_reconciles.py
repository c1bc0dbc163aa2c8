"""Whatever is sent, every item is counted once, and the job ends."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcetl.emulator.batch_run import BatchRun
from tcetl.emulator.batch_settings import read_settings
from tcetl.emulator.store import Store, insert
from tcetl.emulator.vocabulary import GROUPS, INDICATORS

_scalar = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
_json = st.recursive(
    _scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
_value = st.sampled_from(["a.example.com", "192.0.2.1", "A" * 32, "B" * 40, "http://a.example/", "ASN1", "g1", "g2"])
_named = st.lists(st.fixed_dictionaries({"name": _scalar | _value}) | _json, max_size=2)
_FIELDS = {
    "summary": _value,
    "md5": st.just("A" * 32),
    "sha1": st.just("B" * 40),
    "xid": _value,
    "name": st.text(max_size=5),
    "rating": st.integers(-1, 6),
    "confidence": _scalar,
    "active": _scalar,
    "description": _scalar,
    "firstSeen": _scalar,
    "tag": _named,
    "securityLabel": _named,
    "attribute": st.lists(st.fixed_dictionaries({"type": st.just("Status"), "value": _scalar}) | _json, max_size=2),
    "associatedGroups": st.lists(_value | _json, max_size=2),
    "associatedIndicators": _json,
    "associatedGroupXid": st.lists(_value, max_size=2),
    "fileOccurrence": _json,
    "ref_1": _value,
    "ref_2": _value,
    "type_1": st.sampled_from(["Host", "Campaign", "Nonsense"]),
    "id_1": st.integers(0, 3) | _json,
    "status": _json,
}
_type = st.sampled_from([*INDICATORS, *GROUPS, "Nonsense"])
_item = st.one_of(
    st.fixed_dictionaries({"type": _type}, optional=_FIELDS), st.fixed_dictionaries({}, optional=_FIELDS), _json
)
_document = st.fixed_dictionaries(
    {}, optional={name: st.lists(_item, max_size=6) for name in ("group", "indicator", "association")}
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@given(_document, st.sampled_from(["Create", "Delete"]), st.booleans())
@settings(deadline=None)
def test_every_item_is_counted_once(store, tmp_path_factory, document, action, halt):
    body = {
        "owner": "Demo Source",
        "action": action,
        "haltOnError": halt,
        "attributeWriteType": "Append",
        "version": "V2",
    }
    path = tmp_path_factory.getbasetemp() / "input.json"
    path.write_bytes(msgspec.json.encode(document))
    with store.writing() as connection:
        batch = insert(connection, "batch", {"owner": 2, "settings": "{}", "status": "Running"})
    run = BatchRun(store, batch, 2, read_settings(body), "2026-01-01T00:00:00Z", max_indicators=25_000)
    run.run(path)
    counts = run.counts
    done = sum(counts.success.values()) + sum(counts.error.values()) + counts.unprocessed
    assert done == sum(len(items) for items in document.values())
    assert counts.other_error == 0
    messages = store.reader.execute("SELECT severity FROM batch_message WHERE batch = ?", (batch,)).fetchall()
    errors = [row for row in messages if row["severity"] == "Error"]
    assert len(errors) == sum(counts.error.values())
