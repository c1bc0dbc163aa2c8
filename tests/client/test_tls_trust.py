"""TLS: certificates are checked, and what to do about one that is not trusted is said."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from scripted import SECRET, Api, serve, success

from tcetl.client import ThreatConnect
from tcetl.config import Settings
from tcetl.errors import ConfigError, TlsError


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(ca: trustme.CA) -> Iterator[Api]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    with serve(context) as api:
        api.on("GET", "/v2/whoami", success({"user": {"userName": "x"}}))
        yield api


def test_an_unknown_ca_is_not_trusted_and_not_tried_again(secure: Api, naps: list[float]) -> None:
    settings = Settings(base_url=secure.url, access_id="a", secret_key=SECRET)
    with ThreatConnect(settings) as tc, pytest.raises(TlsError, match="not trusted") as caught:
        tc.whoami()
    assert "TC_VERIFY_TLS" in caught.value.hint
    assert not caught.value.outcome_unknown
    assert not naps
    assert not secure.asked


def test_a_named_ca_is_trusted(secure: Api, ca: trustme.CA, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    with ThreatConnect(Settings(base_url=secure.url, access_id="a", secret_key=SECRET, verify=str(file))) as tc:
        assert tc.whoami().user_name == "x"


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_verification_can_be_switched_off(
    secure: Api, ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))  # which must not switch it on again
    with ThreatConnect(Settings(base_url=secure.url, access_id="a", secret_key=SECRET, verify=False)) as tc:
        assert tc.whoami().user_name == "x"


def test_a_missing_ca_file_is_a_setting_to_mend(secure: Api, tmp_path: Path) -> None:
    missing = str(tmp_path / "none.pem")
    settings = Settings(base_url=secure.url, access_id="a", secret_key=SECRET, verify=missing)
    with pytest.raises(ConfigError, match=r"none\.pem does not exist"):
        ThreatConnect(settings)
