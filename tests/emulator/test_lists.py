from urllib.parse import quote

import pytest

SOURCE = {"owner": "Demo Source"}


@pytest.fixture
def seeded(tc_emulator):
    tc_emulator.seed("Demo Source", 400, report=False)
    return tc_emulator


def test_pages_cover_everything_once_and_count_on_the_first_only(api, seeded):
    first = api.data("/v2/indicators", **SOURCE, resultLimit=150)
    assert first["resultCount"] == 400
    found = first["indicator"]
    for start in (150, 300, 450):
        page = api.data("/v2/indicators", **SOURCE, resultLimit=150, resultStart=start)
        assert "resultCount" not in page
        found += page["indicator"]
    assert len({item["id"] for item in found}) == len(found) == 400
    assert all(
        {"ownerName", "type", "summary", "dateAdded", "lastModified", "webLink"} <= item.keys() for item in found
    )
    assert not any({"tag", "attribute", "active", "source", "owner"} & item.keys() for item in found)


@pytest.mark.parametrize("limit", ["0", "10001", "many", "-1"])
def test_bad_paging_is_refused_not_capped(api, seeded, limit):
    response = api.get("/v2/indicators", params={**SOURCE, "resultLimit": limit})
    assert response.status_code == 400
    assert "resultLimit" in response.json()["message"]


def test_typed_lists_carry_value_keys(api, seeded):
    for branch, entity, key in (("hosts", "host", "hostName"), ("urls", "url", "text"), ("addresses", "address", "ip")):
        data = api.data(f"/v2/indicators/{branch}", **SOURCE, resultLimit=500)
        assert data["resultCount"] == len(data[entity]) > 0
        assert all(key in item and not {"type", "summary"} & item.keys() for item in data[entity])
    files = api.data("/v2/indicators/files", **SOURCE, resultLimit=500)["file"]
    assert any({"md5", "sha1", "sha256", "size"} <= item.keys() for item in files)
    assert api.get("/v2/indicators/nonsense", params=SOURCE).status_code == 404


def test_mixed_list_shows_one_hash_of_a_file(api, seeded):
    items = api.data("/v2/indicators", **SOURCE, resultLimit=500)["indicator"]
    assert all(" : " not in item["summary"] for item in items if item["type"] == "File")
    assert all(item["summary"].endswith(" : Run : REG_SZ") for item in items if item["type"] == "Registry Key")


def test_includes(api, seeded):
    full = api.data(
        "/v2/indicators", **SOURCE, resultLimit=400, includes=["additional", "tags", "attributes", "labels"]
    )
    assert all({"observationCount", "active", "privateFlag"} <= item.keys() for item in full["indicator"])
    assert any("lastObserved" in item for item in full["indicator"])
    assert {key for item in full["indicator"] for key in item} >= {"tag", "attribute", "securityLabel"}
    some = api.data("/v2/indicators", **SOURCE, includeAdditional="TRUE", includeTags="true", resultLimit=400)
    assert {"active", "tag"} <= {key for item in some["indicator"] for key in item}
    assert "attribute" not in {key for item in some["indicator"] for key in item}


def everything(api):
    return api.data("/v2/indicators", **SOURCE, resultLimit=10_000, includeAdditional="true")["indicator"]


@pytest.mark.parametrize(
    ("filters", "or_params", "wanted"),
    [
        ("confidence>50", False, lambda i: i.get("confidence", -1) > 50),
        ("confidence>50,rating>2", False, lambda i: i.get("confidence", -1) > 50 and i.get("rating", -1) > 2),
        ("confidence<10,rating>4", True, lambda i: i.get("confidence", 99) < 10 or i.get("rating", -1) > 4),
        ("indicator.threatAssessScore>900", False, lambda i: i.get("threatAssessScore", -1) > 900),
        ("dateAdded>2025-06-01", False, lambda i: i["dateAdded"] > "2025-06-01T00:00:00Z"),
        ("falsePositive>0", False, lambda i: i["falsePositiveCount"] > 0),
        ("summary^http://", False, lambda i: i["summary"].startswith("http://")),
    ],
)
def test_filters(api, seeded, filters, or_params, wanted):
    expected = {item["id"] for item in everything(api) if wanted(item)}
    found = api.data("/v2/indicators", **SOURCE, filters=filters, resultLimit=10_000, orParams=str(or_params).lower())
    assert {item["id"] for item in found["indicator"]} == expected
    assert found["resultCount"] == len(expected)
    assert 0 < len(expected) < 400


@pytest.mark.parametrize("filters", ["confidence^5", "nonsense=1", "confidence", "confidence>high", "summary<a"])
def test_bad_filters_are_refused(api, seeded, filters):
    response = api.get("/v2/indicators", params={**SOURCE, "filters": filters})
    assert response.status_code == 400
    assert response.json()["status"] == "Failure"


def test_summary_filter_finds_any_hash_and_tolerates_a_second_equals_sign(api, seeded):
    files = api.data("/v2/indicators/files", **SOURCE, resultLimit=500)["file"]
    file = next(item for item in files if "sha256" in item and "md5" in item)
    found = api.data("/v2/indicators", **SOURCE, filters=f"summary=={file['sha256'].lower()}")["indicator"]
    assert [item["id"] for item in found] == [file["id"]]


def test_modified_since_is_inclusive_and_takes_offsets(api, seeded):
    latest = max(item["lastModified"] for item in everything(api))
    assert len(api.data("/v2/indicators", **SOURCE, modifiedSince=latest)["indicator"]) == 1
    raw = quote(latest.replace("Z", ""), safe="") + "+00:00"  # the plus sign unencoded, as one client sends it
    response = api.get(f"/v2/indicators?owner=Demo%20Source&modifiedSince={raw}")
    assert response.json()["data"]["resultCount"] == 1
    assert api.get("/v2/indicators", params={**SOURCE, "modifiedSince": "yesterday"}).status_code == 400


def test_single_indicator_by_encoded_value(api, tc_emulator):
    url = "http://bad.example.com/a/b?x=1&y=ä"
    api.load("Demo Source", {"indicator": [{"type": "URL", "summary": url, "rating": 3, "tag": [{"name": "A/B"}]}]})
    response = api.get(f"/v2/indicators/urls/{quote(url, safe='')}", params={**SOURCE, "includes": "tags"})
    item = response.json()["data"]["url"]
    assert item["text"] == url
    assert item["owner"] == {"id": 2, "name": "Demo Source", "type": "Source"}
    assert item["tag"][0]["name"] == "A/B"
    assert "ownerName" not in item
    missing = api.get(f"/v2/indicators/urls/{quote(url, safe='')}")  # in the user's own organization
    assert missing.status_code == 404
    assert missing.json() == {"status": "Failure", "message": "The requested resource was not found"}
    assert api.get("/v2/indicators/addresses/nonsense", params=SOURCE).status_code == 404


def test_inactive_indicators_are_listed_only_when_asked_for(api):
    items = [{"type": "Host", "summary": f"h{n}.example.com", "active": n == 0} for n in range(3)]
    api.load("Demo Source", {"indicator": items})
    assert api.data("/v2/indicators", **SOURCE)["resultCount"] == 1
    assert api.data("/v2/indicators", **SOURCE, filters="active=false")["resultCount"] == 2
    both = api.data("/v2/indicators", **SOURCE, filters="active=true,active=false", orParams="true")
    assert both["resultCount"] == 3


def test_deleted_indicators_are_listed_apart(api):
    hosts = {"indicator": [{"type": "Host", "summary": f"h{n}.example.com"} for n in range(3)]}
    api.load("Demo Source", hosts)
    api.load("Demo Source", {"indicator": hosts["indicator"][:2]}, action="Delete")
    assert api.data("/v2/indicators", **SOURCE)["resultCount"] == 1
    deleted = api.data("/v2/indicators/deleted", **SOURCE)
    assert [item["summary"] for item in deleted["indicator"]] == ["h0.example.com", "h1.example.com"]
    assert api.data("/v2/indicators/hosts/deleted", **SOURCE, deletedSince="2099-01-01")["resultCount"] == 0
