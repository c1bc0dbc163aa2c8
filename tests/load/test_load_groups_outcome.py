"""What the platform's answers about groups, associations and files come to: counts, codes, mending."""

import json
from typing import Any

import pytest

from tcetl.client.batch import BatchError, BatchStatus
from tcetl.load.deadletters import _letters
from tcetl.load.mending.mend import REFUSALS, Named, mend
from tcetl.load.steps import _counts


@pytest.mark.parametrize(
    ("status", "kind", "counted"),
    [
        # The totals account for everything, whatever the counts by kind say.
        ({"succeeded": 4, "failed": 1}, "association", (4, 1)),
        ({"succeeded": 4, "failed": 1, "succeeded_groups": 5}, "group", (4, 1)),
        ({"succeeded": 3, "failed": 1, "unprocessed": 1}, "indicator", (3, 1)),
        # A platform that leaves associations out of its totals.
        ({"succeeded_associations": 4, "failed_associations": 1}, "association", (4, 1)),
        ({"failed": 1, "succeeded_associations": 4, "failed_associations": 1}, "association", (4, 1)),
        # Neither accounts for what was sent: the totals stand, and the load does not reconcile.
        ({"succeeded": 2, "succeeded_associations": 3}, "association", (2, 0)),
        ({"succeeded_indicators": 5}, "association", (0, 0)),
    ],
)
def test_counts_are_those_that_account_for_what_was_sent(
    status: dict[str, int], kind: Any, counted: tuple[int, int]
) -> None:
    assert _counts(BatchStatus(status="Completed", **status), kind, 5) == counted


@pytest.mark.parametrize(
    ("error", "code", "severity"),
    [
        (BatchError("0x1006", "Error", "x", None, None), "0x1006", "error"),
        (BatchError(None, None, "Error (0x1009): x", None, None), "0x1009", "error"),
        (BatchError(None, None, "Warning (0x2002): x", None, None), "0x2002", "warning"),
        (BatchError(None, None, "Error (0x2002): x", None, None), "0x2002", "warning"),
        (BatchError(None, None, "the code 0x2002 is mentioned", None, None), "no-code", "error"),
        (BatchError("0x3001", None, "Error (0x1006): x", None, None), "0x3001", "info"),
    ],
)
def test_codes_are_read_from_the_field_or_from_where_a_reason_opens(
    error: BatchError, code: str, severity: str
) -> None:
    (letter,) = _letters([error], [0])
    assert (letter.code, letter.severity) == (code, severity)


GROUP = {"type": "Incident", "name": "A", "xid": "x", "status": "Open"}
ASSOCIATION = {"ref_1": "x", "type_1": "Incident", "ref_2": "a.example", "type_2": "Host"}
FILE = {"type": "Document", "xid": "d", "content": "/a"}


@pytest.mark.parametrize(
    ("kind", "record", "was", "value", "content", "now", "sent"),
    [
        ("group", GROUP, ("Incident", "A"), ("Incident", " B "), None, ("Incident", "B"), {"name": "B"}),
        ("group", GROUP, ("Incident", "A"), ("Event", "A"), None, ("Event", "A"), {"type": "Event"}),
        ("group", GROUP, ("Incident", "A"), None, GROUP | {"status": "New"}, ("Incident", "A"), {"status": "New"}),
        ("group", GROUP, ("Incident", "A"), None, GROUP | {"name": "B"}, ("Incident", "B"), {"name": "B"}),
        ("group", GROUP, ("Incident", "A"), ("Incident", "B"), GROUP | {"name": "B"}, ("Incident", "B"), {"name": "B"}),
        (
            "association",
            ASSOCIATION,
            ("Association", "Incident x - Host a.example"),
            None,
            ASSOCIATION | {"ref_2": "b.example"},
            ("Association", "Incident x - Host b.example"),
            {"ref_2": "b.example"},
        ),
        (
            "file",
            FILE,
            ("Document file", "D"),
            None,
            FILE | {"content": "/b"},
            ("Document file", "D"),
            {"content": "/b"},
        ),
    ],
)
def test_a_mended_record_is_what_it_says_now(  # noqa: PLR0917
    kind: Any, record: dict[str, Any], was: Any, value: Any, content: Any, now: Any, sent: dict[str, Any]
) -> None:
    name, text = mend(
        kind,
        json.dumps(record),
        Named(*was),
        value=Named(*value) if value else None,
        content=json.dumps(content) if content else None,
    )
    assert (tuple(name), json.loads(text)) == (now, record | sent)


@pytest.mark.parametrize(
    ("kind", "record", "was", "value", "content", "why"),
    [
        ("group", GROUP, ("Incident", "A"), None, GROUP | {"xid": "y"}, "the xid is the identity of a group"),
        ("group", GROUP, ("Incident", "A"), ("Incident", " "), None, "a group needs a type and a name"),
        ("group", GROUP, ("Incident", "A"), ("Incident", "B"), GROUP | {"name": "C"}, "let them say the same"),
        ("association", ASSOCIATION, ("Association", "x - y"), ("Association", "x - z"), None, "is in its record"),
        ("file", FILE, ("Document file", "D"), ("Document file", "E"), None, "is in its record"),
        ("file", FILE, ("Document file", "D"), None, FILE | {"xid": "e"}, "the xid is the identity of a group"),
        ("association", ASSOCIATION, ("Association", "x - y"), None, [1], "no JSON object"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(  # noqa: PLR0917
    kind: Any, record: dict[str, Any], was: Any, value: Any, content: Any, why: str
) -> None:
    with pytest.raises(REFUSALS, match=why):
        mend(
            kind,
            json.dumps(record),
            Named(*was),
            value=Named(*value) if value else None,
            content=json.dumps(content) if content else None,
        )
