import time
from email.utils import parsedate_to_datetime
from urllib.parse import quote

import pytest
import requests

from tcetl.emulator.auth import signature

from .conftest import Hmac


def test_known_vector():
    # api §1.3: from a public client's unit test
    assert signature("test", "test", "GET", "1587340800") == "p5a/YiTRs7sNMp/PEDgZxky8lJDRLbza1pi8erjURrU="


@pytest.mark.parametrize("prefix", ["/api", ""])
@pytest.mark.parametrize("path", ["/v2/whoami", "/v2/whoami/", "/v2/owners?b=%2F&a=1+2&a=x%20y"])
def test_signature_covers_the_target_as_sent(tc_emulator, prefix, path):
    url = tc_emulator.url.removesuffix("/api") + prefix + path
    response = requests.get(url, auth=Hmac(tc_emulator.access_id, tc_emulator.secret_key))
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"


def answer(emulator, auth=None, **headers):
    response = requests.get(f"{emulator.url}/v2/owners", auth=auth, headers=headers)
    return response.status_code, response.json()["message"]


def test_refusals_carry_the_documented_messages(tc_emulator):
    id_, key = tc_emulator.access_id, tc_emulator.secret_key
    assert answer(tc_emulator) == (401, "Access Denied")
    assert answer(tc_emulator, Hmac("nobody", key)) == (401, "Access Denied")
    assert answer(tc_emulator, Hmac(id_, "wrong")) == (401, "Signature data did not match expected result")
    assert answer(tc_emulator, Hmac(id_, key, skew=-301)) == (401, "Timestamp out of acceptable time range")
    assert answer(tc_emulator, Hmac(id_, key, skew=305)) == (401, "Timestamp out of acceptable time range")
    headers = {"Authorization": f"TC {id_}:x", "Timestamp": "noon"}
    assert answer(tc_emulator, **headers) == (401, "Invalid timestamp")
    assert answer(tc_emulator, Authorization="TC-Token APIV2:nobody")[0] == 401


def test_within_the_window_is_accepted(tc_emulator):
    auth = Hmac(tc_emulator.access_id, tc_emulator.secret_key, skew=-290)
    assert requests.get(f"{tc_emulator.url}/v2/owners", auth=auth).status_code == 200


def test_token(tc_emulator):
    headers = {"Authorization": f"TC-Token {tc_emulator.token}", "Timestamp": "ignored"}
    assert requests.get(f"{tc_emulator.url}/v2/whoami", headers=headers).json()["data"]["user"]["userName"] == "writer"


def test_clock_moves_the_window_and_the_date_header(tc_emulator):
    tc_emulator.advance_clock(3600)
    url, id_, key = f"{tc_emulator.url}/v2/owners", tc_emulator.access_id, tc_emulator.secret_key
    refused = requests.get(url, auth=Hmac(id_, key))
    assert refused.status_code == 401
    ahead = parsedate_to_datetime(refused.headers["date"]).timestamp() - time.time()
    assert 3590 < ahead < 3610
    assert requests.get(url, auth=Hmac(id_, key, skew=ahead)).status_code == 200


def test_large_refused_upload_is_read_to_its_end(tc_emulator):
    response = requests.post(f"{tc_emulator.url}/v2/batch/1", data=b"x" * 20_000_000)
    assert response.status_code == 401


def test_users_see_their_owners_only(tc_emulator, api):
    names = [owner["name"] for owner in api.data("/v2/owners")["owner"]]
    assert names == ["Demo Organization", "Demo Source", "Demo Community", "Silent Source"]
    assert api.data("/v2/owners/mine")["owner"] == {"id": 1, "name": "Demo Organization", "type": "Organization"}
    assert api.get("/v2/owners/99").status_code == 404
    outsider = tc_emulator.outsider
    api.auth = Hmac(outsider.access_id, outsider.secret_key)
    assert [owner["name"] for owner in api.data("/v2/owners")["owner"]] == ["Demo Organization"]
    refused = api.get("/v2/indicators", params={"owner": "Demo Source"})
    assert (refused.status_code, refused.json()) == (
        403,
        {"status": "Failure", "message": "The requested owner was not found"},
    )


def test_unknown_route_answers_as_the_platform(api):
    response = api.get("/v2/" + quote("no such", safe=""))
    assert response.status_code == 500
    assert response.headers["content-type"] == "text/plain"
    assert response.text.startswith("Could not find resource for relative")


def test_types_are_listed_with_strings_for_booleans(api):
    types = {type_["name"]: type_ for type_ in api.data("/v2/types/indicatorTypes")["indicatorType"]}
    assert len(types) == 12
    assert (types["CIDR"]["apiBranch"], types["CIDR"]["custom"], types["Host"]["custom"]) == (
        "cidrBlocks",
        "true",
        "false",
    )
    assert types["Registry Key"]["value3Option"].startswith("REG_NONE;")
    assert api.data("/v2/types/indicatorTypes/file")["indicatorType"]["name"] == "File"
