import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcetl.client.batch import BatchError
from tcetl.load.attribute import Attributor, Record, names_of_indicators

CHUNK = [
    ("Address", "192.0.2.1"),
    ("Address", "192.0.2.10"),
    ("Host", "a.example"),
    ("Host", "sub.a.example"),
    ("URL", "http://a.example/x"),
    ("File", f"{'a' * 32} : {'b' * 40}"),
    ("Mutex", "valid"),
    ("Mutex", "Same Name"),
    ("User Agent", "Same Name"),
    ("Mutex", "CaseD"),
    ("Mutex", "cased"),
    ("Email Subject", "Hello: world (1)"),
]


def where(reason: str = "", message: str | None = None, source: str | None = None) -> tuple[str, str] | None:
    attributor = Attributor(names_of_indicators(*map(list, zip(*CHUNK, strict=True))))
    (index,) = attributor.attribute([BatchError(None, None, reason, message, source)])
    return None if index is None else CHUNK[index]


@pytest.mark.parametrize(
    ("error", "named"),
    [
        ({"source": "a.example"}, "a.example"),
        ({"source": "A.EXAMPLE"}, "a.example"),
        ({"reason": "a.example is not a valid Host."}, "a.example"),
        ({"reason": "Host 'sub.a.example' is not valid"}, "sub.a.example"),
        ({"reason": "The host is not valid: a.example."}, "a.example"),
        ({"reason": "192.0.2.10 is not a valid Address."}, "192.0.2.10"),
        ({"reason": "http://a.example/x is not a valid URL."}, "http://a.example/x"),
        ({"source": "b" * 40}, f"{'a' * 32} : {'b' * 40}"),
        ({"reason": f"{'A' * 32} : {'B' * 40} collides"}, f"{'a' * 32} : {'b' * 40}"),
        ({"message": "Last known JSON path: '$.indicator[3]': Last processed"}, "sub.a.example"),
        ({"reason": "java.lang.X", "source": "$.indicator[0]"}, "192.0.2.1"),
        ({"reason": "valid is not a valid Mutex."}, "valid"),
        ({"source": "valid"}, "valid"),
        ({"source": "cased"}, "cased"),
        ({"source": "CaseD"}, "CaseD"),
        ({"reason": "Hello: world (1) is too long"}, "Hello: world (1)"),
        ({"reason": "collides with 192.0.2.1", "source": "a.example"}, "a.example"),
        ({"reason": "a.example: the association to 192.0.2.1 was lost: it was not found."}, "a.example"),
        ({"reason": "a.example collides with 192.0.2.1", "message": "'$.indicator[2]'"}, "a.example"),
        ({"reason": "collides with 192.0.2.1", "message": "Last known JSON path: '$.indicator[2]'"}, "a.example"),
        ({"source": '{"type":"Host","hostName":"a.example","description":"seen with 192.0.2.1"}'}, "a.example"),
        ({"reason": "The Host a.example is excluded"}, "a.example"),
        (
            {
                "reason": "Error (0x1005): a.example is not valid. The indicator 'a.example' could not be processed as "
                "a valid Host due to missing or invalid data (summary is invalid for the given type)."
            },
            "a.example",
        ),
    ],
)
def test_a_record_named_with_certainty_is_found(error: dict[str, str], named: str) -> None:
    found = where(**error)
    assert found is not None
    assert found[1] == named


@pytest.mark.parametrize(
    "error",
    [
        {},
        {"reason": "An unknown error occurred"},
        {"reason": "b.example is not a valid Host."},
        {"reason": "x.a.example is not a valid Host."},
        {"reason": "http://a.example/xyz is not a valid URL."},
        {"reason": "http://a.example/ is not a valid URL."},
        {"reason": "http://a.example:8080 is not a valid URL."},
        {"reason": "192.0.2.100 is not a valid Address."},
        {"reason": "a.example and 192.0.2.1 cannot be associated"},
        {"reason": "The value is not valid: it collides with 192.0.2.1"},
        {"reason": "The value is a duplicate of: 192.0.2.1"},
        {"reason": "192.0.2.1 is already used by another indicator"},
        {"reason": "The Host conflicts with a.example."},
        {"reason": "See a.example"},
        {"reason": "a.example is not a valid Host.", "source": "b.example is not valid."},
        {"source": "b.example is not valid.", "message": "a.example is excluded"},
        {"reason": "Please enter a valid value."},
        {"source": "Same Name"},
        {"source": "CASED"},
        {"message": "Last known JSON path: '$.indicator[99]'"},
        {"message": "Last known JSON path: '$.group[1]'"},
        {"message": "'$.indicator[3]'", "reason": "a.example is not valid"},
        {"message": "'$.indicator[3]' '$.indicator[4]'"},
    ],
)
def test_what_is_not_certain_is_nobodys(error: dict[str, str]) -> None:
    assert where(**error) is None


def test_the_type_tells_equal_summaries_apart() -> None:
    assert where("Same Name is not a valid User Agent.") == ("User Agent", "Same Name")
    assert where("Same Name is not a valid Mutex.") == ("Mutex", "Same Name")


def test_names_that_begin_alike_are_told_apart_by_their_type_or_not_at_all() -> None:
    records = [Record("Host", "a.example"), Record("Email Subject", "a.example is")]
    told, silent = Attributor(records).attribute(
        [
            BatchError(None, None, "a.example is not a valid Host.", None, None),
            BatchError(None, None, "a.example is too long.", None, None),
        ]
    )
    assert (told, silent) == (0, None)


def test_an_alias_names_its_record() -> None:
    (index,) = Attributor([Record("Incident", "A name", ("xid-0001",))]).attribute(
        [BatchError(None, None, "Incident xid-0001 has an invalid status.", None, "xid-0001 is not valid.")]
    )
    assert index == 0


def test_no_records_and_no_errors() -> None:
    assert Attributor([]).attribute([BatchError(None, None, "x", None, None)]) == [None]
    assert Attributor([Record("Host", "a.example")]).attribute([]) == []


label = st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)
host = st.lists(label, min_size=2, max_size=3).map(".".join)
url = st.tuples(host, st.from_regex(r"(/[a-zé0-9=&?.]{0,6}){1,3}", fullmatch=True)).map("http://{0[0]}{0[1]}".format)
named = st.tuples(st.just("Host"), host) | st.tuples(st.just("URL"), url)
templates = st.sampled_from(["{} is not a valid {}.", "The value '{}' is not a valid {}", "no {}: {}", "{}{}"])


@given(st.lists(named, min_size=1, max_size=15, unique=True), st.data())
@settings(max_examples=100, deadline=None)
def test_never_the_wrong_record(chunk: list[tuple[str, str]], data: st.DataObject) -> None:
    about = data.draw(st.integers(0, len(chunk) - 1))
    kind, summary = chunk[about]
    text = data.draw(templates).format(summary, kind)
    attributor = Attributor(names_of_indicators(*map(list, zip(*chunk, strict=True))))
    (by_text, by_source) = attributor.attribute(
        [BatchError(None, None, text, None, None), BatchError(None, None, text, None, summary)]
    )
    assert by_text in (None, about)
    assert by_source == about
