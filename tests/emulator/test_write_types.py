import pytest

OWNER = "Demo Source"


def item(*attributes, **fields):
    return {
        "type": "Host",
        "summary": "a.example.com",
        "attribute": [{"type": type_, "value": value} for type_, value in attributes],
        **fields,
    }


def attributes(emulator):
    stored = emulator.indicator(OWNER, "Host", "a.example.com")["attributes"] or []
    return [(entry["type"], entry["value"]) for entry in stored]


@pytest.mark.parametrize(
    ("write_type", "expected"),
    [
        ("Append", [("Status", "1"), ("Port", "1"), ("Status", "1"), ("Status", "2")]),
        ("Replace", [("Status", "1"), ("Status", "2")]),
        ("Singleton", [("Port", "1"), ("Status", "1"), ("Status", "2")]),
        ("Static", [("Status", "1"), ("Port", "1")]),
    ],
)
def test_attribute_write_types(api, tc_emulator, write_type, expected):
    api.load(OWNER, {"indicator": [item(("Status", "1"), ("Port", "1"))]})
    second = {"indicator": [item(("Status", "1"), ("Status", "2"))]}
    api.load(OWNER, second, attributeWriteType=write_type)
    assert attributes(tc_emulator) == expected


def test_absent_attributes_stay(api, tc_emulator):
    api.load(OWNER, {"indicator": [item(("Status", "1"))]})
    api.load(OWNER, {"indicator": [{"type": "Host", "summary": "a.example.com", "rating": 1}]})
    assert attributes(tc_emulator) == [("Status", "1")]


def test_description_replaces_the_default_one(api, tc_emulator):
    for text in ("first", "second"):
        api.load(OWNER, {"indicator": [item(description=text)]}, attributeWriteType="Append")
    stored = tc_emulator.indicator(OWNER, "Host", "a.example.com")
    assert stored["description"] == "second"
    assert attributes(tc_emulator) == [("Description", "second")]


@pytest.mark.parametrize(("write_type", "expected"), [("Append", ["A", "B", "C"]), ("Replace", ["B", "C"])])
def test_tag_and_label_write_types(api, tc_emulator, write_type, expected):
    labels = {"A": "TLP:RED", "B": "TLP:AMBER", "C": "TLP:GREEN"}

    def tagged(names):
        return item(tag=[{"name": n} for n in names], securityLabel=[{"name": labels[n]} for n in names])

    api.load(OWNER, {"indicator": [tagged("AB")]})
    api.load(OWNER, {"indicator": [tagged("BC")]}, tagWriteType=write_type, securityLabelWriteType=write_type)
    stored = tc_emulator.indicator(OWNER, "Host", "a.example.com")
    assert [tag["name"] for tag in stored["tags"]] == expected
    assert [label["name"] for label in stored["labels"]] == [labels[name] for name in expected]


def test_empty_tags_clear_under_replace_and_absent_ones_do_not(api, tc_emulator):
    api.load(OWNER, {"indicator": [item(tag=[{"name": "A"}])]})
    api.load(OWNER, {"indicator": [item()]})
    assert tc_emulator.indicator(OWNER, "Host", "a.example.com")["tags"] is not None
    api.load(OWNER, {"indicator": [item(tag=[])]})
    assert tc_emulator.indicator(OWNER, "Host", "a.example.com")["tags"] is None


def test_update_bumps_last_modified_and_keeps_what_is_not_sent(api, tc_emulator):
    api.load(OWNER, {"indicator": [item(rating=4, confidence=60)]})
    before = tc_emulator.indicator(OWNER, "Host", "a.example.com")
    tc_emulator.advance_clock(100)
    api.load(OWNER, {"indicator": [item(confidence=70)]})
    after = tc_emulator.indicator(OWNER, "Host", "a.example.com")
    assert (after["rating"], after["confidence"], after["id"]) == (4.0, 70, before["id"])
    assert (after["date_added"], after["last_modified"] > before["last_modified"]) == (before["date_added"], True)


def test_groups_are_overwritten_by_xid(api, tc_emulator):
    group = {"type": "Incident", "xid": "i-1", "name": "First", "eventDate": "2026-01-01T00:00:00Z"}
    api.load(OWNER, {"group": [group]})
    api.load(OWNER, {"group": [group | {"name": "Second", "status": "Closed"}]})
    stored = tc_emulator.group(OWNER, "i-1")
    assert (stored["name"], stored["fields"]["status"]) == ("Second", "Closed")
    assert tc_emulator.group_counts(OWNER) == {"Incident": 1}
    api.load(OWNER, {"group": [group]}, action="Delete")
    assert tc_emulator.group(OWNER, "i-1") is None
