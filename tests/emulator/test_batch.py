import gzip

import msgspec
import pytest

from .conftest import Hmac

OWNER = "Demo Community"


def counts(status):
    return status["successCount"], status["errorCount"], status["unprocessCount"]


def host(n=1, **fields):
    return {"type": "Host", "summary": f"h{n}.example.com", **fields}


def group(xid="g1", **fields):
    return {"name": "Group", "type": "Campaign", "xid": xid, **fields}


def test_life_cycle(api, tc_emulator):
    batch_id = api.create(OWNER)
    status = api.data(f"/v2/batch/{batch_id}")["batchStatus"]
    assert status == {"id": batch_id, "status": "Created", "errorCount": 0, "successCount": 0, "unprocessCount": 0}
    response = api.upload(batch_id, {"indicator": [host()]})
    assert response.status_code == 202
    assert response.json()["data"]["batchStatus"]["status"] == "Queued"
    status = api.finish(batch_id)
    assert counts(status) == (1, 0, 0)
    assert (status["successIndicatorCount"], status["errorGroupCount"], status["successAssociationCount"]) == (1, 0, 0)
    for name in ("errors", "results"):
        assert api.get(f"/v2/batch/{batch_id}/{name}").status_code == 404
    assert tc_emulator.counts(OWNER) == {"Host": 1}


def test_errors_are_gzipped_with_the_exact_content_type(api):
    batch_id = api.create(OWNER)
    api.upload(batch_id, {"indicator": [host(), {"type": "Address", "summary": "nonsense"}]})
    assert counts(api.finish(batch_id)) == (1, 1, 0)
    response = api.get(f"/v2/batch/{batch_id}/errors", stream=True)
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-encoding"] == "gzip"
    (entry,) = msgspec.json.decode(gzip.decompress(response.raw.read(decode_content=False)))
    assert entry == {
        "code": "0x1005",
        "severity": "Error",
        "errorReason": "nonsense is not a valid Address.",
        "errorMessage": "nonsense is not a valid Address.",
        "errorSource": "nonsense is not valid.",
    }


def test_unfinished_and_unknown_jobs(api, tc_emulator):
    tc_emulator.add_fault("job_stuck", route="/v2/batch/*")
    batch_id = api.create(OWNER)
    api.upload(batch_id, {"indicator": [host()]})
    response = api.get(f"/v2/batch/{batch_id}/errors")
    assert response.status_code == 400
    assert response.json()["description"].startswith("Batch still in ")
    assert api.get("/v2/batch/999").status_code == 404
    assert api.upload(999, {}).status_code == 404
    again = api.upload(batch_id, {"indicator": [host()]})
    assert (again.status_code, again.json()["status"]) == (400, "Invalid")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"action": "Upsert"}, "action"),
        ({"attributeWriteType": "Merge"}, "attributeWriteType"),
        ({"haltOnError": "perhaps"}, "haltOnError"),
        ({"version": "V3"}, "version"),
        ({"hashCollisionMode": "Explode"}, "hashCollisionMode"),
    ],
)
def test_bad_settings_are_named(api, settings, named):
    body = {"owner": OWNER, "action": "Create", "haltOnError": "false", "attributeWriteType": "Replace"}
    assert api.post("/v2/batch", json=body).status_code == 201
    response = api.post("/v2/batch", json=body | settings)
    assert response.status_code == 400
    assert named in response.json()["message"]


@pytest.mark.parametrize("body", [b"", b"{nope", b'{"owner":"\xff"}', b"[" * 100_000, b"[]"])
def test_a_body_that_is_no_json_object_is_refused(api, body):
    response = api.post("/v2/batch", data=body)
    assert (response.status_code, response.json()["message"]) == (400, "The request was not properly formed")


def test_permissions(api, tc_emulator):
    body = {"owner": "Nowhere", "action": "Create", "haltOnError": False, "attributeWriteType": "Replace"}
    assert api.post("/v2/batch", json=body).status_code == 403
    batch_id = api.create(OWNER)
    api.auth = Hmac(tc_emulator.reader.access_id, tc_emulator.reader.secret_key)
    refused = api.post("/v2/batch", json=body | {"owner": OWNER})
    assert (refused.status_code, refused.headers["content-type"]) == (401, "text/plain")
    assert refused.text.startswith(
        "Unable to perform the requested operation due to the following error(s): You do not"
    )
    assert api.get(f"/v2/batch/{batch_id}").status_code == 200
    assert api.upload(batch_id, {}).status_code == 401
    api.auth = Hmac(tc_emulator.outsider.access_id, tc_emulator.outsider.secret_key)
    assert api.get(f"/v2/batch/{batch_id}").status_code == 404


def test_oversized_upload_is_refused_and_may_be_repeated(api, tc_emulator):
    tc_emulator.set_limits(max_upload_bytes=1000)
    batch_id = api.create(OWNER)
    response = api.upload(batch_id, b" " * 3_000_000)
    assert response.status_code == 400
    assert response.json() == {"status": "Invalid", "description": "File size greater than allowable limit of 1000"}
    assert api.upload(batch_id, {"indicator": [host()]}).status_code == 202
    assert counts(api.finish(batch_id)) == (1, 0, 0)


def test_v1_takes_an_array(api, tc_emulator):
    item = {"type": "Host", "summary": "a.example.com", "rating": "3", "confidence": "40", "source": "a feed"}
    for version in ({"version": "V1"}, {"version": None}):
        status, results = api.load(OWNER, [item], **version)
        assert (counts(status), results) == ((1, 0, 0), [])
    stored = tc_emulator.indicator(OWNER, "Host", "a.example.com")
    assert (stored["rating"], stored["confidence"]) == (3.0, 40)
    assert [(a["type"], a["value"]) for a in stored["attributes"]] == [("Source", "a feed")]


@pytest.mark.parametrize(
    ("version", "content"), [("V2", [host()]), ("V1", {"indicator": [host()]}), ("V2", b"{nope"), ("V2", b'{"\xff":1}')]
)
def test_wrong_shape_is_a_syntax_error(api, version, content):
    status, results = api.load(OWNER, content, version=version)
    assert (counts(status), results[0]["code"]) == ((0, 1, 0), "0x1003")


def test_item_that_is_no_object_ends_the_job(api):
    status, results = api.load(OWNER, {"indicator": [host(1), "name", host(2), host(3)]})
    assert counts(status) == (1, 1, 2)
    assert results[0]["code"] == "0x1003"
    assert results[0]["errorReason"].endswith('Not a JSON Object: "name"')
    assert "'$.indicator[1]'" in results[0]["errorMessage"]


def test_halt_on_error_leaves_the_rest_unprocessed(api, tc_emulator):
    content = {"indicator": [host(1), {"type": "Host", "summary": "-"}, host(2), host(3)]}
    assert counts(api.load(OWNER, content, haltOnError="true")[0]) == (1, 1, 2)
    assert tc_emulator.counts(OWNER) == {"Host": 1}
    assert counts(api.load(OWNER, content)[0]) == (3, 1, 0)


def test_too_many_indicators(api, tc_emulator):
    tc_emulator.set_limits(max_indicators=5)
    status, results = api.load(OWNER, {"indicator": [host(n) for n in range(7)]})
    assert counts(status) == (0, 1, 6)
    assert results[0]["code"] == "0x1008"
    assert "would exceed the number of allowed indicators" in results[0]["errorReason"]
    assert tc_emulator.counts(OWNER) == {}


# Every documented code (api §5.7), and an input that brings it about.
OTHER_OWNER = 1
CODES = {
    "0x1001": {"indicator": [{"type": "Host", "summary": "a.excluded.example"}]},
    "0x1003": {"indicator": [5]},
    "0x1005": {"indicator": [host(confidence=101)]},
    "0x1006": {"group": [group(type="Signature")]},
    "0x1009": {
        "association": [{"ref_1": "h1.example.com", "type_1": "Host", "ref_2": "nowhere", "type_2": "Campaign"}]
    },
    "0x100A": {"group": [group(), group()]},
    "0x100B": b"",
    "0x2001": {"indicator": [host(attribute=[{"type": "No Such Type", "value": "x"}])]},
    "0x2002": {"group": [group(tag=[{"name": "x" * 129}])]},
}


@pytest.mark.parametrize("code", CODES)
def test_codes(api, code):
    status, results = api.load(OWNER, CODES[code])
    assert [entry["code"] for entry in results] == [code]
    assert results[0]["severity"] == {"1": "Error", "2": "Warning"}[code[2]]
    assert status["errorCount"] == (1 if code[2] == "1" else 0)


def test_code_for_deleting_what_is_not_there(api):
    content = {"indicator": [host()], "group": [group()]}
    status, results = api.load(OWNER, content, action="Delete")
    assert (counts(status), [entry["code"] for entry in results]) == ((0, 2, 0), ["0x1007", "0x1007"])


def test_code_for_an_object_of_another_owner(api, tc_emulator):
    api.load("Demo Source", {"indicator": [host()]})
    api.load(OWNER, {"group": [group()]})
    other = tc_emulator.indicator("Demo Source", "Host", "h1.example.com")["id"]
    content = {"association": [{"id_1": other, "type_1": "Host", "ref_2": "g1", "type_2": "Campaign"}]}
    assert [entry["code"] for entry in api.load(OWNER, content)[1]] == ["0x1002"]


def test_job_that_breaks_off_halfway(api, tc_emulator):
    tc_emulator.add_fault("job_half", route="/v2/batch/*", method="POST", fraction=0.25)
    status, results = api.load(OWNER, {"indicator": [host(n) for n in range(8)]})
    assert counts(status) == (2, 1, 5)
    assert results[0]["code"] == "0x1004"
    assert tc_emulator.counts(OWNER) == {"Host": 2}


@pytest.mark.parametrize(
    "item",
    [
        host(rating=6),
        host(rating=2.5),
        host(confidence=-1),
        host(firstSeen="soon"),
        {"type": "Host"},
        {"type": "Nonsense", "summary": "x"},
        {"type": "URL", "summary": "http://UPPER.example.com/"},
        {"type": "URL", "summary": "www.example.com/no-scheme"},
        {"type": "ASN", "summary": "AS12345"},
        {"type": "CIDR", "summary": "2001:db8::/32"},
        {"type": "Registry Key", "summary": "HKLM\\Software : Run : REG_SZ"},
        {"type": "File", "md5": "xyz"},
        {"type": "Address", "ip": "192.0.2.01"},
    ],
)
def test_invalid_indicators(api, item):
    status, results = api.load(OWNER, {"indicator": [item]})
    assert (counts(status), [entry["code"] for entry in results]) == ((0, 1, 0), ["0x1005"])


@pytest.mark.parametrize(
    "item",
    [
        group(name="x" * 101),
        group(xid=""),
        group(type="Nonsense"),
        group(type="Incident", status="Asleep"),
        group(type="Email", subject="s", header="h"),
        group(type="Event", eventType="Party"),
        group(type="Document", fileName="a.zip", malware=True),
        group(type="Report", fileName="a.pdf", insights="x"),
    ],
)
def test_invalid_groups(api, item):
    status, results = api.load(OWNER, {"group": [item]})
    assert (status["errorGroupCount"], [entry["code"] for entry in results]) == (1, ["0x1006"])


def test_results_are_filtered(api):
    batch_id = api.create(OWNER)
    content = {"indicator": [host(confidence=900), host(2, tag=[{"name": ""}]), {"type": "ASN", "summary": "7"}]}
    api.upload(batch_id, content)
    api.finish(batch_id)
    path = f"/v2/batch/{batch_id}/results"
    assert [entry["code"] for entry in api.get(path).json()] == ["0x1005", "0x2001", "0x1005"]
    assert len(api.get(path, params={"code": "0x2001"}).json()) == 1
    assert len(api.get(path, params={"severity": "warn"}).json()) == 1
    assert len(api.get(path, params={"contains": "confidence"}).json()) == 1
    assert api.get(path, params={"contains": "nothing like it"}).status_code == 404
    assert api.get(path, params={"code": "1005"}).status_code == 400
    assert api.get(path, params={"severity": "loud"}).status_code == 400
    assert [entry["code"] for entry in api.get(f"/v2/batch/{batch_id}/errors").json()] == ["0x1005", "0x1005"]


def test_create_and_upload(api, tc_emulator):
    config = {
        "owner": OWNER,
        "action": "Create",
        "haltOnError": "true",
        "attributeWriteType": "Replace",
        "version": "V2",
    }
    content = msgspec.json.encode({"indicator": [host()]})
    files = {"config": msgspec.json.encode(config), "content": content}
    path = "/v2/batch/createAndUpload?includeAdditional=true"
    status = api.post(path, files=files).json()["data"]["batchStatus"]
    assert counts(api.finish(status["id"])) == (1, 0, 0)
    plain = {name: (None, value) for name, value in files.items()}  # parts without a file name, as Java sends them
    assert api.post(path, files=plain).json()["data"]["batchStatus"]["id"] > status["id"]
    tc_emulator.set_limits(synchronous_batch_save_limit=10)
    inline = api.post(path, files=files).json()["data"]["batchStatus"]
    assert "id" not in inline
    assert (inline["status"], inline["successIndicatorCount"]) == ("Completed", 1)
    assert api.post(path, files={"config": files["config"]}).status_code == 400


def test_values_may_come_in_any_documented_form(api, tc_emulator):
    items = [
        {"type": "Address", "ip": "2001:DB8::1"},
        {"type": "EmailAddress", "address": "Someone@Example.com"},
        {"type": "File", "sha1": "b" * 40, "summary": "ignored", "intValue1": "77"},
        {"type": "Host", "hostName": "UPPER.example.com", "flag1": True, "whoisActive": "true"},
        {"type": "URL", "text": "https://example.com/Path"},
        {"type": "ASN", "AS Number": "asn64500"},
        {"type": "CIDR", "Block": "2001:DB8:1:0:0:0:0:0/48"},
        {"type": "Registry Key", "value1": "HKEY_USERS\\X", "value2": " ", "value3": "REG_SZ"},
        {"type": "Mutex", "Mutex": "Global\\m"},
        {"type": "User Agent", "User Agent String": "Mozilla/5.0 : odd"},
        {"type": "Email Subject", "Subject": "Hello"},
        {"type": "Hashtag", "Hashtag": "#Bad"},
    ]
    status, results = api.load(OWNER, {"file": {}, "indicator": items, "unknown": 1})
    assert (counts(status), results) == ((12, 0, 0), [])
    assert all(count == 1 for count in tc_emulator.counts(OWNER).values())
    for type_, summary in (
        ("Address", "2001:db8:0::1"),
        ("EmailAddress", "someone@example.COM"),
        ("Host", "upper.EXAMPLE.com"),
        ("ASN", "ASN64500"),
        ("CIDR", "2001:db8:1:0:0:0:0:0/48"),
        ("Hashtag", "#bad"),
    ):
        assert tc_emulator.indicator(OWNER, type_, summary) is not None
    stored = tc_emulator.indicator(OWNER, "Host", "upper.example.com")
    assert (stored["dns_active"], stored["whois_active"]) == (1, 1)
    assert tc_emulator.indicator(OWNER, "File", "B" * 40)["size"] == 77
    # The same values again update; nothing is doubled.
    api.load(OWNER, {"indicator": items})
    assert sum(tc_emulator.counts(OWNER).values()) == 12


def test_associations(api, tc_emulator):
    url, address = "http://192.0.2.1/a", "192.0.2.1"
    content = {
        "group": [
            group("g1", associatedGroupXid=["g2"], associatedIndicators=[{"summary": url, "indicatorType": "URL"}])
        ],
        "indicator": [
            {"type": "URL", "summary": url, "associatedGroups": [{"groupXid": "g2"}]},
            {"type": "Address", "summary": address, "associatedGroups": ["g1"]},
            host(associatedGroups=[{"groupXid": "nowhere"}]),
        ],
        "association": [
            {"ref_1": url, "type_1": "URL", "ref_2": address, "type_2": "Address", "associationType": "URL Host"},
            {"ref_1": address, "type_1": "Address", "ref_2": "g2"},
            {"ref_1": url, "type_1": "URL", "ref_2": address, "type_2": "Address"},
            {"ref_1": address, "type_1": "Address", "ref_2": url, "type_2": "URL", "associationType": "ASN to CIDR"},
        ],
    }
    content["group"].append(group("g2"))
    status, results = api.load(OWNER, content)
    assert (status["successAssociationCount"], status["errorAssociationCount"]) == (2, 2)
    assert [entry["code"] for entry in results] == ["0x1009", "0x1009", "0x2001"]
    links = tc_emulator.indicator(OWNER, "URL", url)["links"]
    ids = {tc_emulator.group(OWNER, xid)["id"] for xid in ("g1", "g2")}
    assert {link["id"] for link in links if link["kind"] == "group"} == ids
    assert [link["type"] for link in links if link["kind"] == "indicator"] == ["URL Host"]
    assert len(tc_emulator.group(OWNER, "g1")["links"]) == 3


def test_associations_before_the_objects_find_nothing(api):
    association = {"ref_1": "h1.example.com", "type_1": "Host", "ref_2": "g1", "type_2": "Campaign"}
    status, _ = api.load(OWNER, {"association": [association], "indicator": [host()], "group": [group()]})
    assert (status["errorAssociationCount"], status["successIndicatorCount"]) == (1, 1)


def test_new_labels_need_colour_and_description(api, tc_emulator):
    new = {"name": "Ours", "color": "00FF00", "description": "In house"}
    content = {
        "indicator": [host(1, securityLabel=[{"name": "Theirs"}, {"name": "TLP Red"}]), host(2, securityLabel=[new])]
    }
    _, results = api.load(OWNER, content)
    assert [entry["code"] for entry in results] == ["0x2001"]
    assert [label["name"] for label in tc_emulator.indicator(OWNER, "Host", "h1.example.com")["labels"]] == ["TLP Red"]
    assert "Ours" in [label["name"] for label in api.data("/v2/securityLabels")["securityLabel"]]


def test_a_group_is_named_by_its_whole_xid(api):
    group = {"type": "Incident", "name": "x", "xid": "an xid of words", "status": "no such"}
    _, (result,) = api.load(OWNER, {"group": [group]})
    assert result["errorReason"] == "Incident an xid of words has an invalid status."
    assert result["errorSource"] == "an xid of words is not valid."
