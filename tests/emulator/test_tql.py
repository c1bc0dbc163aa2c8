import pytest

from tcetl.emulator.answers import RefusalError
from tcetl.emulator.tql import translate

SOURCE = 'ownerName = "Demo Source"'


@pytest.fixture
def found(api, tc_emulator):
    tc_emulator.seed("Demo Source", 300, report=False)

    def run(tql, **params):
        response = api.get("/v3/indicators", params={"tql": tql, "resultLimit": 1000, "fields": "tags", **params})
        assert response.status_code == 200, response.text
        return response.json()["data"]

    return run


def tags(item):
    return {tag["name"] for tag in item["tags"]["data"]}


@pytest.mark.parametrize(
    ("tql", "wanted"),
    [
        ("confidence >= 50", lambda i: i.get("confidence", -1) >= 50),
        ("confidence>=50 and rating GT 2", lambda i: i.get("confidence", -1) >= 50 and i.get("rating", -1) > 2),
        ("typename EQ 'Host' OR typeName = `URL`", lambda i: i["type"] in {"Host", "URL"}),
        ('typeName IN ("Host", "File")', lambda i: i["type"] in {"Host", "File"}),
        ('typeName NOT IN ("Host", "File")', lambda i: i["type"] not in {"Host", "File"}),
        ('not (typeName = "Host")', lambda i: i["type"] != "Host"),
        ('tag = "Botnet"', lambda i: "Botnet" in tags(i)),
        ('tag != "Botnet"', lambda i: "Botnet" not in tags(i)),
        (
            'hasTag(name = "Botnet") and hasTag(summary startswith "C")',
            lambda i: "Botnet" in tags(i) and any(tag.startswith("C") for tag in tags(i)),
        ),
        ('summary LIKE "%.php%"', lambda i: ".php" in i["summary"]),
        ('summary contains ".example"', lambda i: ".example" in i["summary"]),
        ("rating is null", lambda i: "rating" not in i),
        ("rating IS NOT NULL", lambda i: "rating" in i),
        ("dateAdded > 2025-03-03", lambda i: i["dateAdded"] > "2025-03-03T00:00:00Z"),
        ('date_added <= "2025-03-03 10:00:00"', lambda i: i["dateAdded"] <= "2025-03-03T10:00:00Z"),
        ("indicatorActive EQ True", lambda i: i["active"]),
        ('id = "7"', lambda i: i["id"] == 7),
    ],
)
def test_queries(found, tql, wanted):
    everything = found("")
    expected = [item["id"] for item in everything if wanted(item)]
    assert [item["id"] for item in found(f"{SOURCE} and ({tql}) ")] == expected
    assert expected


@pytest.mark.parametrize(
    "tql",
    [
        "confidence",
        "confidence >",
        "nonsense = 1",
        "confidence = high",
        "(rating = 1",
        'tag "x"',
        'summary = "x',
        "rating = 1 rating",
    ],
)
def test_bad_queries(api, tql):
    response = api.get("/v3/indicators", params={"tql": tql})
    assert response.status_code == 400
    assert (response.json()["status"], response.json()["errCode"]) == ("Error", "0x1001")


def test_strings_never_become_sql():
    condition = translate("""summary = "x' OR 1=1 --" or tag = 'it\\'s'""")
    assert condition.parameters == ("x' OR 1=1 --", "it's")
    assert "OR 1=1" not in condition.sql
    with pytest.raises(RefusalError):
        translate("summary); DROP TABLE indicator; -- = 1")


def test_paging_links_and_count(api, found):
    page = api.get("/v3/indicators", params={"tql": SOURCE, "resultLimit": 120, "count": "true"}).json()
    assert page["count"] == 300
    assert page["next"].startswith("/v3/indicators?")  # relative: tcex can follow nothing else over plain HTTP
    assert "prev" not in page
    ids = [item["id"] for item in page["data"]]
    while "next" in page:
        page = api.get(page["next"]).json()
        assert "count" not in page
        assert "prev" in page
        ids += [item["id"] for item in page["data"]]
    assert len(ids) == len(set(ids)) == 300


def test_long_query_in_the_body(api, found):
    body = {"data": {"tql": "typeName = 'Host'", "resultLimit": 1000, "fields": ["tags", "threatAssess"]}}
    response = api.request("GET", "/v3/indicators", json=body)
    assert {item["type"] for item in response.json()["data"]} == {"Host"}
    assert all("tags" in item for item in response.json()["data"])


def test_sorting_and_fields(api, found):
    items = found("confidence is not null", sorting="confidence DESC dateAdded asc")
    keys = [(-item["confidence"], item["dateAdded"]) for item in items]
    assert keys == sorted(keys)
    assert api.get("/v3/indicators", params={"fields": "nonsense"}).status_code == 400
    assert api.get("/v3/indicators", params={"sorting": "nonsense"}).status_code == 400
    options = api.request("OPTIONS", "/v3/indicators/fields").json()
    assert options["count"] == len(options["data"]) > 20
    assert "typeName" in [entry["keyword"] for entry in api.request("OPTIONS", "/v3/indicators/tql").json()["data"]]


def test_single_by_id_and_summary(api):
    file = {"type": "File", "md5": "a" * 32, "sha256": "c" * 64}
    key = {"type": "Registry Key", "summary": "HKEY_USERS\\X : Run : REG_SZ"}
    api.load("Demo Source", {"indicator": [file, key]})
    params = {"owner": "Demo Source"}
    item = api.get(f"/v3/indicators/{'A' * 32}", params=params).json()["data"]
    assert item["summary"] == f"{'A' * 32} : {'C' * 64}"
    assert api.get(f"/v3/indicators/{item['id']}").json()["data"] == item
    generic = api.get(
        "/v3/indicators/HKEY_USERS%5CX%20%3A%20Run%20%3A%20REG_SZ",
        params={**params, "fields": "genericCustomIndicatorValues"},
    ).json()["data"]
    assert (generic["value1"], generic["value3"]) == ("HKEY_USERS\\X", "REG_SZ")
    missing = api.get("/v3/indicators/nothing.example.com", params=params)
    assert (missing.status_code, missing.json()["status"]) == (404, "Error")
