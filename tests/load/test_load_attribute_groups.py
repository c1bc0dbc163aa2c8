"""Errors about groups and associations: found by xid, name, place and both ends; never guessed."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcetl.client.batch import BatchError
from tcetl.load.attribute import Attributor, names_of

XID = "5c457dfb80f3b32aec1fbefbe89a70a63fcfae45f7f5860d65fbc32216ee1515"
GROUPS = [
    ("Incident", "A break-in at example.com", "incident-001"),
    ("Incident", "Another break-in", XID),
    ("Threat", "Dragonfly", "0a0a-1"),
    ("Tool", "Dragonfly", "0a0a-2"),
    ("Threat", "APT-99", "0a0a-3"),
    ("Report", "APT-99 in 2026", "0a0a-30"),
]
ASSOCIATIONS = [
    b'{"ref_1":"incident-001","type_1":"Incident","ref_2":"a.example","type_2":"Host"}',
    b'{"ref_1":"incident-001","ref_2":"sub.a.example","type_2":"Host"}',
    b'{"ref_1":"http://a.example/","type_1":"URL","ref_2":"a.example","type_2":"Host","associationType":"URL Host"}',
    b'{"ref_1":"incident-001","id_2":12345,"type_2":"Address"}',
    b'{"ref_1":"incident-001","ref_2":"0a0a-3"}',
]


def of_groups(reason: str = "", message: str | None = None, source: str | None = None) -> int | None:
    rows = pl.DataFrame(GROUPS, schema=["type", "summary", "xid"], orient="row")
    error = BatchError(None, None, reason, message, source)
    (index,) = Attributor(names_of("group", rows, []), "group").attribute([error])
    return index


def of_associations(reason: str = "", message: str | None = None, source: str | None = None) -> int | None:
    rows = pl.DataFrame({"type": ["Association"] * 5, "summary": ["…"] * 5, "xid": [None] * 5})
    error = BatchError(None, None, reason, message, source)
    (index,) = Attributor(names_of("association", rows, ASSOCIATIONS), "association").attribute([error])
    return index


UNEXPECTED = "Encountered an unexpected Exception while processing batch job. Last known JSON path: "


@pytest.mark.parametrize(
    ("error", "place"),
    [
        ({"reason": "Incident incident-001 has an invalid status.", "source": "incident-001 is not valid."}, 0),
        ({"reason": "Incident incident-001 has an invalid status."}, 0),
        ({"source": "incident-001 is not valid."}, 0),
        ({"source": "INCIDENT-001"}, 0),
        ({"source": "A break-in at example.com"}, 0),
        ({"reason": "A break-in at example.com has an invalid status."}, 0),
        ({"reason": f"Incident {XID} has no eventDate."}, 1),
        ({"message": f"{UNEXPECTED}'$.group[1]': Last processed group[1] '{XID}'."}, 1),
        (
            {
                "reason": f"Error (0x1003): {UNEXPECTED}'$.group[1]': Last processed group[1] '{XID}'. "
                'com.google.gson.JsonSyntaxException: 2020-04-19T16:0n;l0:00Z"'
            },
            1,
        ),
        ({"message": f"{UNEXPECTED}'$.group[3]'."}, 3),
        ({"reason": "Last processed group[2]"}, 2),
        ({"reason": "Tool Dragonfly has an invalid name.", "source": "Dragonfly"}, 3),
        ({"reason": "Error (0x1006): 0a0a-3 is not valid. The group could not be processed."}, 4),
        ({"reason": "Report APT-99 in 2026 has an invalid status."}, 5),
        ({"reason": "Threat 0a0a-3: the association to 0a0a-30 was lost: it was not found.", "source": "0a0a-3"}, 4),
    ],
)
def test_a_group_named_with_certainty_is_found(error: dict[str, str], place: int) -> None:
    assert of_groups(**error) == place


@pytest.mark.parametrize(
    "error",
    [
        {"reason": "Incident incident-0011 has an invalid status."},
        {"source": "incident-00 is not valid."},
        {"source": "Dragonfly"},
        {"reason": "Dragonfly has an invalid name."},
        {"reason": "Threat Dragonfly has an invalid name."},  # a plain word, as in "Threat name has …"
        {"message": f"{UNEXPECTED}'$.group[2]': Last processed group[2] '{XID}'."},
        {"message": f"{UNEXPECTED}'$.indicator[1]'."},
        {"message": f"{UNEXPECTED}'$.group[17]'."},
        {"reason": "The name collides with incident-001"},
        {"reason": "An unknown error occurred"},
    ],
)
def test_what_is_not_certain_is_no_groups(error: dict[str, str]) -> None:
    assert of_groups(**error) is None


@pytest.mark.parametrize(
    ("error", "place"),
    [
        ({"message": f"{UNEXPECTED}'$.association[3]'."}, 3),
        ({"source": "incident-001 - a.example"}, 0),
        ({"reason": "Association incident-001 - sub.a.example: sub.a.example was not found."}, 1),
        ({"reason": "The URL 'http://a.example/' cannot be associated with a.example"}, 2),
        ({"reason": "Host a.example and Incident incident-001 have different owners"}, 0),
        ({"reason": "Invalid association.", "source": "incident-001 - 12345"}, 3),
        ({"reason": "Groups 0a0a-3 and incident-001 cannot be associated"}, 4),
    ],
)
def test_an_association_is_found_by_both_of_its_ends(error: dict[str, str], place: int) -> None:
    assert of_associations(**error) == place


@pytest.mark.parametrize(
    "error",
    [
        {"reason": "a.example was not found."},
        {"reason": "sub.a.example was not found.", "source": "sub.a.example"},
        {"source": "incident-001"},
        {"reason": "incident-001, a.example and sub.a.example cannot be associated"},
        {"message": f"{UNEXPECTED}'$.group[1]'."},
        {"reason": "incident-001 - a.example", "message": f"{UNEXPECTED}'$.association[1]'."},
    ],
)
def test_one_end_alone_names_no_association(error: dict[str, str]) -> None:
    assert of_associations(**error) is None


xid = st.from_regex(r"[a-z0-9]{1,4}(-[0-9]{1,2})?", fullmatch=True)


@given(
    st.lists(
        st.tuples(st.sampled_from(["Threat", "Tool"]), xid, xid), min_size=1, max_size=12, unique_by=lambda g: g[2]
    ),
    st.data(),
)
@settings(max_examples=60, deadline=None)
def test_never_the_wrong_group(chunk: list[tuple[str, str, str]], data: st.DataObject) -> None:
    about = data.draw(st.integers(0, len(chunk) - 1))
    kind, name, key = chunk[about]
    text = data.draw(
        st.sampled_from(["{0} {2} has no name.", "{0} {1} has no name.", "{2} is not valid", "no {0}: {2}"])
    )
    rows = pl.DataFrame(chunk, schema=["type", "summary", "xid"], orient="row")
    attributor = Attributor(names_of("group", rows, []), "group")
    (by_text,) = attributor.attribute([BatchError(None, None, text.format(kind, name, key), None, None)])
    same = {place for place, group in enumerate(chunk) if {group[1], group[2]} & {name, key}}
    assert by_text is None or by_text in same
    if len(same) == 1:
        assert by_text in (None, about)
