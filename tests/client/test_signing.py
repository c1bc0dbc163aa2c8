"""HMAC and token signing, and the platform's clock."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from scripted import SECRET, TOKEN, Api, Asked, failure, success

from tcetl.client import ThreatConnect
from tcetl.client.auth import http_date, signature
from tcetl.config import Settings
from tcetl.errors import AuthenticationError

OWNERS = success({"resultCount": 0, "owner": []})


def test_published_vector() -> None:
    assert signature("test", "test", "GET", 1587340800) == "p5a/YiTRs7sNMp/PEDgZxky8lJDRLbza1pi8erjURrU="


def test_documented_string_is_what_is_signed() -> None:
    path = "/api/v2/indicators/hosts/example.com?Owner=Common%20Community"
    assert signature("k", path, "get", 1513703787) == signature("k", path, "GET", 1513703787)
    assert signature("k", path, "GET", 1513703787) != signature("k", path.replace("%20", "+"), "GET", 1513703787)


def verified(asked: Asked) -> bool:
    """What the platform does: sign the target as it came over the wire."""
    scheme, _, rest = asked.headers["Authorization"].partition(" ")
    access_id, _, signed = rest.partition(":")
    timestamp = int(asked.headers["Timestamp"])
    return (scheme, access_id, signed) == ("TC", "4711", signature(SECRET, asked.target, asked.method, timestamp))


def test_query_is_signed_as_sent(api: Api, tc: ThreatConnect) -> None:
    api.on("GET", "/v2/owners", OWNERS)
    tc.session.request("GET", "/v2/owners", params={"owner": "Common Community", "filters": "a=1,b>2", "x": "ä+&/~'"})
    (asked,) = api.asked
    assert verified(asked)
    assert "owner=Common%20Community" in asked.target


@examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(segment=st.text(min_size=1, max_size=30).filter(lambda s: s not in {".", ".."}), value=st.text(max_size=30))
def test_any_path_and_query_verify(api: Api, tc: ThreatConnect, segment: str, value: str) -> None:
    segment, value = (text.encode("utf-8", "replace").decode() for text in (segment, value))
    path = f"/v2/indicators/urls/{quote(segment, safe='')}"
    api.asked.clear()
    api._scripts.clear()
    api.on("GET", path, OWNERS)
    tc.session.request("GET", path, params={"owner": value})
    (asked,) = api.asked
    assert verified(asked)
    assert asked.query["owner"] == [value]


def test_each_attempt_is_signed_anew(
    api: Api, tc: ThreatConnect, monkeypatch: pytest.MonkeyPatch, naps: list[float]
) -> None:
    now = [1_700_000_000.0]
    monkeypatch.setattr("tcetl.client.auth.time.time", lambda: now[0])

    def later(_: Asked) -> object:
        now[0] += 400
        return failure("busy", 503, Date=format_datetime(datetime.now(UTC), usegmt=True))

    api.on("GET", "/v2/owners", later, later, OWNERS)
    tc.owners()
    assert [int(asked.headers["Timestamp"]) - 1_700_000_000 for asked in api.asked] == [0, 400, 800]
    assert all(verified(asked) for asked in api.asked)


def test_token(api: Api) -> None:
    api.on("GET", "/v2/owners", OWNERS)
    with ThreatConnect(Settings(base_url=api.url, token=TOKEN)) as tc:
        tc.owners()
    assert api.asked[0].headers["Authorization"] == f"TC-Token {TOKEN}"
    assert "Timestamp" not in api.asked[0].headers


@pytest.mark.parametrize("skew", [timedelta(hours=1), timedelta(minutes=-17)])
def test_clock_skew_is_learnt(api: Api, tc: ThreatConnect, naps: list[float], skew: timedelta) -> None:
    def by_platform_clock(asked: Asked) -> object:
        now = datetime.now(UTC) + skew
        date = format_datetime(now, usegmt=True)
        if abs(now.timestamp() - int(asked.headers["Timestamp"])) > 300:
            return failure("Timestamp out of acceptable time range", 401, Date=date)
        return OWNERS if verified(asked) else failure("Signature data did not match expected result", 401, Date=date)

    api.on("GET", "/v2/owners", by_platform_clock)
    tc.owners()
    assert len(api.asked) == 2
    tc.owners()  # and it stays learnt
    assert len(api.asked) == 3
    assert naps == []


@pytest.mark.parametrize("date", ["", "yesterday", None])
def test_refusal_is_not_repeated_when_the_clock_is_right(api: Api, tc: ThreatConnect, date: str | None) -> None:
    headers = {} if date is None else {"Date": date}
    api.on("GET", "/v2/owners", failure("Signature data did not match expected result", 401, **headers))
    with pytest.raises(AuthenticationError, match="Signature data did not match") as caught:
        tc.owners()
    assert "secret key" in caught.value.hint
    assert len(api.asked) == 1


def test_skewed_clock_is_corrected_once_only(api: Api, tc: ThreatConnect) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    api.on("GET", "/v2/owners", failure("Access Denied", 401, Date=date))
    with pytest.raises(AuthenticationError):
        tc.owners()
    assert len(api.asked) == 2


def test_http_date() -> None:
    assert http_date("Tue, 15 Nov 1994 12:45:26 GMT") == datetime(1994, 11, 15, 12, 45, 26, tzinfo=UTC)
    assert http_date("Tue, 15 Nov 1994 12:45:26 -0000") == datetime(1994, 11, 15, 12, 45, 26, tzinfo=UTC)
    assert http_date(None) is None
    assert http_date("soon") is None
    assert time.time() > 0
