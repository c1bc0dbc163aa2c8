"""Whatever happens, credentials stay out of logs, errors and representations."""

import logging
import traceback

import pytest
from scripted import SECRET, TOKEN, Answer, Api, failure, html, success, text

from tcetl.client import BatchSettings, ThreatConnect
from tcetl.config import Settings
from tcetl.errors import TcetlError

PROXY_PASSWORD = "pr0xy-pass"


def echo(asked: object) -> Answer:
    """A debugging proxy that shows the request's headers."""
    return text(f"headers: {asked.headers}", 400)


SCRIPTS = {
    "success": success({"user": {"userName": "x"}}),
    "unauthorised": failure("Signature data did not match expected result", 401),
    "busy": failure("busy", 503),
    "reset": Answer(reset=True),
    "web page": html(500),
    "redirect": Answer(302, headers={"Location": "https://login.example.com/"}),
    "echo": echo,
    "nonsense": text("{", 200),
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
@pytest.mark.parametrize(
    "credentials", [{"access_id": "4711", "secret_key": SECRET}, {"token": TOKEN}], ids=["hmac", "token"]
)
def test_nothing_shows(
    api: Api, naps: list[float], caplog: pytest.LogCaptureFixture, credentials: dict[str, str], script: Answer
) -> None:
    caplog.set_level(logging.DEBUG)
    api.on("GET", "/v2/whoami", script)
    api.on("POST", "/v2/batch", script)
    shown = [caplog.text]
    with ThreatConnect(Settings(base_url=api.url, retries=1, **credentials)) as tc:
        for work in (tc.whoami, lambda: tc.batch.create(BatchSettings(owner="o"))):
            try:
                work()
            except TcetlError as error:
                shown += [str(error), repr(error), "".join(traceback.format_exception(error)), repr(vars(error))]
        shown += [repr(thing) for thing in (tc, tc.session, tc.settings, tc.session._signer)]
    shown.append(caplog.text)
    for secret in (SECRET, TOKEN):
        assert secret not in "\n".join(shown)


@pytest.mark.parametrize("proxy", [f"http://u:{PROXY_PASSWORD}@127.0.0.1:9", f"http://u:{PROXY_PASSWORD}@[x"])
def test_nor_does_the_proxy_password(naps: list[float], caplog: pytest.LogCaptureFixture, proxy: str) -> None:
    caplog.set_level(logging.DEBUG)
    settings = Settings(base_url="https://tc.example/api", token=TOKEN, proxy=proxy, retries=1)
    with ThreatConnect(settings) as tc, pytest.raises(TcetlError) as caught:
        tc.whoami()
    shown = "".join(traceback.format_exception(caught.value)) + repr(tc.settings) + caplog.text
    assert PROXY_PASSWORD not in shown
    assert TOKEN not in shown
