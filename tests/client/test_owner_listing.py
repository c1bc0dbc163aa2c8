"""Owners, user, indicator types, and the paging that they share with indicator lists."""

import pytest
from scripted import Answer, Api, Asked, answer, failure, html, success

from tcetl.client import IndicatorTypeInfo, Owner, ThreatConnect, User
from tcetl.client.paging import pages
from tcetl.config import Settings
from tcetl.errors import ApiError, ChangedWhileReadError, OwnerNotFoundError

OWNERS = [
    {"id": 1, "name": "Demo Organization", "type": "Organization"},
    {"id": "2", "name": "Demo Source", "type": "Source", "new": 1},
]
LISTED = success({"resultCount": 2, "owner": OWNERS})


def collection(total: int, *, cap: int = 10**9, key: str = "indicator") -> object:
    """A server with *total* items that gives at most *cap* a page."""

    def page(asked: Asked) -> object:
        start, limit = int(asked.query["resultStart"][0]), int(asked.query["resultLimit"][0])
        found = [{"id": n} for n in range(total)][start : start + min(limit, cap)]
        return success({key: found} | ({"resultCount": total} if start == 0 else {}))

    return page


def test_owners(api: Api, tc: ThreatConnect) -> None:
    api.on("GET", "/v2/owners", LISTED)
    assert tc.owners() == [Owner(1, "Demo Organization", "Organization"), Owner(2, "Demo Source", "Source")]


def test_owner_by_name(api: Api, tc: ThreatConnect) -> None:
    api.on("GET", "/v2/owners", LISTED)
    assert tc.owner("Demo Source").id == 2


def test_default_owner(api: Api, tc: ThreatConnect, settings: Settings) -> None:
    api.on("GET", "/v2/owners", LISTED)
    api.on("GET", "/v2/owners/mine", success({"owner": OWNERS[0]}))
    assert tc.owner().name == "Demo Organization"
    arguments = {"base_url": api.url, "access_id": "4711", "secret_key": "x", "default_owner": "Demo Source"}
    with ThreatConnect(Settings(**arguments)) as other:
        assert other.owner().name == "Demo Source"


def test_unknown_owner_names_the_visible_ones(api: Api, tc: ThreatConnect) -> None:
    api.on("GET", "/v2/owners", LISTED)
    with pytest.raises(OwnerNotFoundError, match=r"'Nobody'.*visible owners: Demo Organization, Demo Source"):
        tc.owner("Nobody")
    with pytest.raises(OwnerNotFoundError, match="did you mean 'Demo Source'"):
        tc.owner("demo source")


def test_many_visible_owners_are_cut_short(api: Api, tc: ThreatConnect) -> None:
    many = [{"id": n, "name": f"Owner {n:02}", "type": "Source"} for n in range(25)]
    api.on("GET", "/v2/owners", success({"resultCount": 25, "owner": many}))
    with pytest.raises(OwnerNotFoundError, match="Owner 19 and 5 more"):
        tc.owner("Nobody")


def test_no_owner_at_all(api: Api, tc: ThreatConnect) -> None:
    api.on("GET", "/v2/owners", success({"resultCount": 0}))
    with pytest.raises(OwnerNotFoundError, match="can see no owner"):
        tc.owner("Nobody")


def test_whoami(api: Api, tc: ThreatConnect) -> None:
    user = {"userName": "4711", "firstName": "A", "lastName": "B", "pseudonym": "ab", "role": "Api User"}
    api.on("GET", "/v2/whoami", success({"user": user}))
    assert tc.whoami() == User("4711", "A", "B", "ab", "Api User")


def test_indicator_types(api: Api, tc: ThreatConnect) -> None:
    listed = [
        {"name": "Host", "custom": "false", "parsable": "true", "apiBranch": "hosts", "apiEntity": "host"},
        {
            "name": "Registry Key",
            "custom": "true",
            "parsable": "false",
            "apiBranch": "registryKeys",
            "apiEntity": "registryKey",
            "casePreference": "sensitive",
            "value1Label": "Key Name",
            "value2Label": "Value Name",
            "value3Label": "Value Type",
            "value1Type": "text",
        },
        {
            "name": "ASN",
            "custom": "true",
            "apiBranch": "asns",
            "apiEntity": "asn",
            "value1Label": "AS Number",
            "value2Label": "",
        },
    ]
    api.on("GET", "/v2/types/indicatorTypes", success({"resultCount": 3, "indicatorType": listed}))
    host, registry, asn = tc.indicator_types()
    assert host == IndicatorTypeInfo(name="Host", api_branch="hosts", api_entity="host", custom=False, parsable=True)
    assert registry.value_labels == ("Key Name", "Value Name", "Value Type")
    assert asn.value_labels == ("AS Number",)


@pytest.mark.parametrize("total", [0, 1, 9, 10, 11, 25])
@pytest.mark.parametrize("cap", [10, 3])  # a server may give less than it was asked for
def test_pages(api: Api, tc: ThreatConnect, total: int, cap: int) -> None:
    api.on("GET", "/v2/indicators", collection(total, cap=cap))
    found = list(pages(tc.session, "/v2/indicators", "indicator", {"owner": "o"}, page_size=10))
    assert sum(len(page.items) for page in found) == total
    assert len({item for page in found for item in map(bytes, page.items)}) == total
    assert {page.total for page in found} == {total}
    assert all(asked.query["owner"] == ["o"] for asked in api.asked)


def test_pages_on_an_older_instance(api: Api, tc: ThreatConnect) -> None:
    words = (
        "The resultStart and resultLimit query parameters must be integers and the maximum value for resultLimit is 500"
    )
    serve = collection(1200)
    api.on(
        "GET",
        "/v2/indicators",
        lambda asked: failure(words, 400) if int(asked.query["resultLimit"][0]) > 500 else serve(asked),
    )
    found = list(pages(tc.session, "/v2/indicators", "indicator"))
    assert [len(page.items) for page in found] == [500, 500, 200]


def test_items_that_vanish_between_pages(api: Api, tc: ThreatConnect) -> None:
    first, later = collection(20), collection(12)
    api.on("GET", "/v2/indicators", first, later)
    with pytest.raises(ChangedWhileReadError, match="20 items were announced, 12 came"):
        list(pages(tc.session, "/v2/indicators", "indicator", page_size=10))


def test_items_that_appear_between_pages(api: Api, tc: ThreatConnect) -> None:
    first, later = collection(20), collection(21)
    api.on("GET", "/v2/indicators", first, later)
    with pytest.raises(ChangedWhileReadError, match="20 items at the start, 21 at the end"):
        list(pages(tc.session, "/v2/indicators", "indicator", page_size=10))


def test_a_full_page_without_a_count_cannot_be_trusted(api: Api, tc: ThreatConnect) -> None:
    api.on("GET", "/v2/indicators", success({"indicator": [{}] * 10}))
    with pytest.raises(ApiError, match="without resultCount"):
        list(pages(tc.session, "/v2/indicators", "indicator", page_size=10))
    (page,) = pages(tc.session, "/v2/indicators", "indicator", page_size=11)
    assert page.total == 10


@pytest.mark.parametrize(
    "odd",
    [
        answer([1, 2]),
        answer({"status": "Success", "data": {"owner": "x", "resultCount": 1}}),
        answer({"status": "Success", "data": {"owner": [{"id": "x"}], "resultCount": 1}}),
        answer({"status": "Success", "data": {"owner": [], "resultCount": "many"}}),
        html(),
        Answer(200, b'{"status":"Success","data":{"owner":[],"\xff":1}}'),
        Answer(200, b'{"status":"Success","data":{"owner":[{"name":"\xff","id":1,"type":"Source"}],"resultCount":1}}'),
        Answer(200, b'{"status":"\xff"}'),
        Answer(200, b"[" * 100_000),
    ],
)
def test_an_answer_of_another_shape(api: Api, tc: ThreatConnect, odd: object) -> None:
    api.on("GET", "/v2/owners", odd)
    api.on("GET", "/v2/whoami", odd)
    with pytest.raises(ApiError):
        tc.owners()
    with pytest.raises(ApiError):
        tc.whoami()


@pytest.mark.parametrize("status", ["Failure", "Error"])
def test_a_failure_with_a_success_code(api: Api, tc: ThreatConnect, status: str) -> None:
    api.on("GET", "/v2/owners", answer({"status": status, "message": "the database is away"}))
    api.on("GET", "/v2/whoami", answer({"status": status, "message": "the database is away"}))
    with pytest.raises(ApiError, match="the database is away"):
        tc.owners()
    with pytest.raises(ApiError, match="the database is away"):
        tc.whoami()
