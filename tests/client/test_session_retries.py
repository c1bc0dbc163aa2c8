"""Retries, pace, timeouts and everything else between a request and its answer."""

import logging
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from scripted import SECRET, Answer, Api, failure, html, success, text

from tcetl.client import ThreatConnect
from tcetl.config import Settings
from tcetl.errors import ApiError, ConfigError, ConnectionFailedError

DONE = success({})
RESET = Answer(reset=True)


def test_passing_failures_are_repeated(api: Api, tc: ThreatConnect, naps: list[float]) -> None:
    api.on("GET", "/x", failure("An unknown error occurred", 500), failure("x", 502), failure("x", 504), DONE)
    assert tc.session.request("GET", "/x").status_code == 200
    assert len(api.asked) == 4
    assert len(naps) == 3


def test_retries_end(api: Api, tc: ThreatConnect, naps: list[float]) -> None:
    api.on("GET", "/x", failure("An unknown error occurred", 500))
    with pytest.raises(ApiError, match="500 An unknown error occurred") as caught:
        tc.session.request("GET", "/x")
    assert caught.value.status == 500
    assert len(api.asked) == 4


@pytest.mark.parametrize("status", [400, 403, 404, 409, 501])
def test_refusals_are_not_repeated(api: Api, tc: ThreatConnect, naps: list[float], status: int) -> None:
    api.on("GET", "/x", failure("no", status))
    with pytest.raises(ApiError):
        tc.session.request("GET", "/x")
    assert len(api.asked) == 1


@pytest.mark.parametrize(
    "words",
    [
        "API access has not been licensed for this system, please contact sales@threatconnect.com",
        "Batch job api is not available.  Ensure that batchJobEnabled is true and document storage is enabled",
    ],
)
def test_a_service_that_is_switched_off_is_not_asked_again(
    api: Api, tc: ThreatConnect, naps: list[float], words: str
) -> None:
    api.on("GET", "/x", text(words, 503))
    with pytest.raises(ApiError, match="503") as caught:
        tc.session.request("GET", "/x")
    assert len(api.asked) == 1
    assert caught.value.hint


@pytest.mark.parametrize(
    "broken", [RESET, Answer(body=b'{"status":', length=500), Answer(body=b"{", reset=True, length=9)]
)
def test_broken_connections_are_repeated(api: Api, tc: ThreatConnect, naps: list[float], broken: Answer) -> None:
    api.on("GET", "/x", broken, broken, DONE)
    assert tc.session.request("GET", "/x").json() == {"status": "Success", "data": {}}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_retry_after_seconds(api: Api, tc: ThreatConnect, naps: list[float], method: str) -> None:
    api.on(method, "/x", failure("slow down", 429, Retry_After="7"), DONE)
    tc.session.request(method, "/x", json={} if method == "POST" else None)
    assert naps[0] == 7
    assert len(api.asked) == 2


def test_retry_after_date(api: Api, tc: ThreatConnect, naps: list[float]) -> None:
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)  # by the platform's clock, whatever ours says
    headers = {
        "Date": format_datetime(moment, usegmt=True),
        "Retry_After": format_datetime(moment + timedelta(seconds=42), usegmt=True),
    }
    api.on("GET", "/x", failure("slow down", 503, **headers), DONE)
    tc.session.request("GET", "/x")
    assert naps == [42]


def test_a_long_retry_after_is_handed_on(api: Api, tc: ThreatConnect, naps: list[float]) -> None:
    api.on("GET", "/x", failure("come back tomorrow", 429, Retry_After="86400"))
    with pytest.raises(ApiError) as caught:
        tc.session.request("GET", "/x")
    assert caught.value.retry_after == 86400
    assert len(api.asked) == 1
    assert naps == []


@pytest.mark.parametrize("broken", [RESET, failure("An unknown error occurred", 500), failure("bad gateway", 502)])
def test_a_write_is_not_repeated_when_it_may_have_been_done(
    api: Api, tc: ThreatConnect, naps: list[float], broken: Answer
) -> None:
    api.on("POST", "/x", broken, DONE)
    with pytest.raises((ConnectionFailedError, ApiError)) as caught:
        tc.session.request("POST", "/x", json={})
    assert len(api.asked) == 1
    if isinstance(caught.value, ConnectionFailedError):
        assert caught.value.outcome_unknown


def test_a_write_that_may_be_done_twice_is_repeated(api: Api, tc: ThreatConnect, naps: list[float]) -> None:
    api.on("POST", "/x", RESET, failure("x", 500), DONE)
    tc.session.request("POST", "/x", json={"a": 1}, safe_to_repeat=True)
    assert [asked.body for asked in api.asked] == [b'{"a":1}'] * 3


def test_refused_connections_are_repeated_also_for_writes(naps: list[float]) -> None:
    settings = Settings(base_url="http://127.0.0.1:9/api", access_id="a", secret_key=SECRET, retries=2)
    with ThreatConnect(settings) as tc, pytest.raises(ConnectionFailedError, match="connection refused") as caught:
        tc.session.request("POST", "/x", json={})
    assert not caught.value.outcome_unknown
    assert "TC_API_URL" in caught.value.hint
    assert len(naps) == 2


def test_an_unknown_host(naps: list[float]) -> None:
    settings = Settings(base_url="http://tc.invalid/api", access_id="a", secret_key=SECRET, retries=0)
    with ThreatConnect(settings) as tc, pytest.raises(ConnectionFailedError, match=r"tc\.invalid") as caught:
        tc.owners()
    assert not caught.value.outcome_unknown


def test_timeout(api: Api) -> None:
    api.on("POST", "/x", Answer(stall=30))
    settings = Settings(base_url=api.url, access_id="a", secret_key=SECRET, timeout=0.2, retries=0)
    with ThreatConnect(settings) as tc, pytest.raises(ConnectionFailedError, match="timed out") as caught:
        tc.session.request("POST", "/x", json={})
    assert caught.value.outcome_unknown


def test_files_are_sent_whole_on_every_attempt(api: Api, tc: ThreatConnect, naps: list[float], tmp_path: Path) -> None:
    file = tmp_path / "chunk.json"
    file.write_bytes(b'{"indicator":[]}' * 5000)
    api.on("POST", "/x", failure("x", 500), failure("x", 429), DONE)
    tc.session.request("POST", "/x", data=file, safe_to_repeat=True)
    assert [asked.body for asked in api.asked] == [file.read_bytes()] * 3
    assert api.asked[0].headers["Content-Type"] == "application/octet-stream"
    assert api.asked[0].headers["Content-Length"] == str(file.stat().st_size)


def test_redirects_are_not_followed(api: Api, tc: ThreatConnect) -> None:
    api.on("GET", "/x", Answer(302, headers={"Location": "https://login.example.com/sso?ticket=abc"}))
    with pytest.raises(ApiError, match=r"a redirect to https://login\.example\.com/sso") as caught:
        tc.session.request("GET", "/x")
    assert "abc" not in str(caught.value)
    assert "/api" in caught.value.hint


@pytest.mark.parametrize("status", [200, 401, 403, 404])
def test_a_web_page_is_no_answer(api: Api, tc: ThreatConnect, status: int) -> None:
    api.on("GET", "/x", html(status, "Sign\nin"))
    with pytest.raises(ApiError, match="an HTML page titled 'Sign in'") as caught:
        tc.session.request("GET", "/x")
    assert type(caught.value) is ApiError
    assert "API URL" in caught.value.hint


def test_activity_log_is_off_unless_wanted(api: Api, tc: ThreatConnect) -> None:
    api.on("GET", "/x", DONE)
    tc.session.request("GET", "/x")
    with ThreatConnect(Settings(base_url=api.url, access_id="a", secret_key=SECRET, activity_log=True)) as chatty:
        chatty.session.request("GET", "/x")
    assert [asked.query["createActivityLog"] for asked in api.asked] == [["false"], ["true"]]


def test_params(api: Api, tc: ThreatConnect) -> None:
    api.on("GET", "/x", DONE)
    tc.session.request("GET", "/x", params={"a": None, "b": True, "c": ["1", "2"], "d": 0})
    assert api.asked[0].query == {"b": ["true"], "c": ["1", "2"], "d": ["0"], "createActivityLog": ["false"]}


def test_cookies_are_not_kept(api: Api, tc: ThreatConnect) -> None:
    api.on("GET", "/x", Answer(headers={"Set-Cookie": "JSESSIONID=1; Path=/"}))
    tc.session.request("GET", "/x")
    tc.session.request("GET", "/x")
    assert "Cookie" not in api.asked[1].headers


def test_user_agent(api: Api, tc: ThreatConnect) -> None:
    api.on("GET", "/x", DONE)
    tc.session.request("GET", "/x")
    assert api.asked[0].headers["User-Agent"].startswith("tcetl/")


def test_rate_limit(api: Api, naps: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tcetl.client.retry.time.monotonic", lambda: 100.0)
    api.on("GET", "/x", DONE)
    with ThreatConnect(Settings(base_url=api.url, access_id="a", secret_key=SECRET, rate_limit=4)) as tc:
        for _ in range(4):
            tc.session.request("GET", "/x")
    assert naps == [0.25, 0.5, 0.75]


def test_threads_share_one_session(api: Api, tc: ThreatConnect) -> None:
    api.on("GET", "/x", DONE)
    failures: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(20):
                tc.session.request("GET", "/x", params={"n": threading.get_ident()})
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must see it
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(api.asked) == 160


def test_proxy(api: Api) -> None:
    api.on("GET", "/v2/whoami", success({"user": {"userName": "4711"}}))
    proxy = api.url.removesuffix("/api")
    settings = Settings(base_url="http://tc.example/api", access_id="a", secret_key=SECRET, proxy=proxy, retries=0)
    with ThreatConnect(settings) as tc:
        assert tc.whoami().user_name == "4711"
    assert api.asked[0].target.startswith("http://tc.example/api/v2/whoami")


def test_an_unusable_proxy_is_a_setting_to_mend() -> None:
    settings = Settings(
        base_url="http://tc.example/api", access_id="a", secret_key=SECRET, proxy="http://[u:pw@x", retries=0
    )
    with ThreatConnect(settings) as tc, pytest.raises(ConfigError) as caught:
        tc.whoami()
    assert "proxy" in str(caught.value)
    assert "pw" not in str(caught.value)


def test_retries_are_logged(api: Api, tc: ThreatConnect, naps: list[float], caplog: pytest.LogCaptureFixture) -> None:
    api.on("GET", "/x", failure("busy", 503), DONE)
    with caplog.at_level(logging.WARNING, "tcetl"):
        tc.session.request("GET", "/x")
    assert "503 busy; trying again" in caplog.text
    assert "attempt 2 of 4" in caplog.text
