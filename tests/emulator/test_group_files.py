"""Files of groups: uploaded, replaced, refused, given back (api §3.3)."""

import pytest

SOURCE = "Demo Source"
GROUPS = [
    {"type": "Document", "name": "D", "xid": "doc-1", "fileName": "d.bin"},
    {"type": "Document", "name": "M", "xid": "mal-1", "fileName": "m.zip", "malware": True, "password": "infected"},
    {"type": "Report", "name": "R", "xid": "rep/1", "fileName": "r.pdf"},
    {"type": "Signature", "name": "S", "xid": "sig-1", "fileName": "s.yar", "fileType": "YARA", "fileText": "rule"},
    {"type": "Threat", "name": "T", "xid": "thr-1"},
]
PROTECTED = b"PK\x03\x04\x14\x00\x01\x00" + bytes(40)


@pytest.fixture
def groups(api):
    assert api.load(SOURCE, {"group": GROUPS})[0]["successCount"] == len(GROUPS)
    return api


def upload(api, path: str, content: bytes, method: str = "POST", **params):
    headers = {"Content-Type": "application/octet-stream"}
    return api.request(
        method, f"/v2/groups/{path}/upload", data=content, headers=headers, params={"owner": SOURCE} | params
    )


def download(api, path: str):
    return api.get(f"/v2/groups/{path}/download", params={"owner": SOURCE})


def shown(api, xid: str) -> dict:
    return api.get(f"/v3/groups/{xid}", params={"owner": SOURCE}).json()["data"]


def test_a_file_comes_back_as_it_went(groups):
    assert download(groups, "documents/doc-1").status_code == 404
    assert shown(groups, "doc-1")["status"] == "Awaiting Upload"
    assert upload(groups, "documents/doc-1", b"\x00bytes").json() == {"status": "Success"}
    answer = download(groups, "documents/doc-1")
    assert (answer.content, answer.headers["content-type"]) == (b"\x00bytes", "application/octet-stream")
    document = shown(groups, "doc-1")
    assert (document["status"], document["fileSize"], document["fileName"]) == ("Success", 6, "d.bin")
    assert shown(groups, str(document["id"])) == document
    assert download(groups, f"documents/{document['id']}").content == b"\x00bytes"


def test_a_second_file_needs_to_say_that_it_replaces_the_first(groups):
    assert upload(groups, "reports/rep%2F1", b"one").ok
    refused = upload(groups, "reports/rep%2F1", b"two")
    assert (refused.status_code, refused.json()["status"]) == (401, "Failure")
    assert download(groups, "reports/rep%2F1").content == b"one"
    assert upload(groups, "reports/rep%2F1", b"two", "PUT").ok
    assert upload(groups, "reports/rep%2F1", b"three", updateIfExists="true").ok
    assert download(groups, "reports/rep%2F1").content == b"three"


def test_signatures_are_text_and_have_one_from_the_start(groups):
    answer = download(groups, "signatures/sig-1")
    assert (answer.content, answer.headers["content-type"]) == (b"rule", "text/plain")
    assert upload(groups, "signatures/sig-1", b"rule two").ok
    assert download(groups, "signatures/sig-1").content == b"rule two"


def test_malware_must_be_a_protected_zip(groups):
    for content in (b"MZ", b"PK\x03\x04\x14\x00\x00\x00", b""):
        assert upload(groups, "documents/mal-1", content).status_code == 400
    assert upload(groups, "documents/mal-1", PROTECTED).ok


def test_there_is_no_file_where_there_is_no_such_group(groups):
    for path in ("documents/no-such", "documents/rep%2F1", "threats/thr-1", "documents/doc-1%2F"):
        assert upload(groups, path, b"x").status_code == 404
    elsewhere = groups.post("/v2/groups/documents/doc-1/upload", data=b"x", params={"owner": "Demo Community"})
    assert elsewhere.status_code == 404


def test_files_go_with_their_groups(groups):
    assert upload(groups, "documents/doc-1", b"x").ok
    groups.load(SOURCE, {"group": GROUPS[:1]}, action="Delete")
    assert download(groups, "documents/doc-1").status_code == 404
    groups.load(SOURCE, {"group": GROUPS[:1]})
    assert download(groups, "documents/doc-1").status_code == 404


def test_pinned_attributes_and_their_labels_are_kept(api, tc_emulator):
    attribute = {"type": "Port", "value": "80", "pinned": True, "securityLabel": [{"name": "TLP:RED"}]}
    group = {"type": "Threat", "name": "T", "xid": "thr-1", "attribute": [attribute]}
    assert api.load(SOURCE, {"group": [group]})[0]["successCount"] == 1
    (kept,) = tc_emulator.group(SOURCE, "thr-1")["attributes"]
    assert kept["pinned"]
    assert [label["name"] for label in kept["securityLabel"]] == ["TLP:RED"]
