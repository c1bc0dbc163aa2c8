"""Connection settings: one order of precedence, and nothing wrong that is not told, without telling a secret."""

from pathlib import Path
from typing import Any

import pytest

from tcetl.config import Settings
from tcetl.errors import ConfigError

URL = "https://tc.example/api"
HMAC = {"TC_ACCESS_ID": "env-id", "TC_SECRET_KEY": "env-key"}


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    path = tmp_path / "tc.conf"
    path.write_text(
        "[threatconnect]\napi_base_url = https://conf.example/api/\napi_access_id = conf-id\n"
        "api_secret_key = conf%key\napi_default_org = Conf Owner\nverify_tls = false\ntimeout = 7.5\nunknown = x\n"
    )
    return path


def test_tc_conf_alone(conf: Path) -> None:
    settings = Settings.resolve(config_file=conf, environ={})
    assert settings == Settings(
        base_url="https://conf.example/api",
        access_id="conf-id",
        secret_key="conf%key",
        default_owner="Conf Owner",
        verify=False,
        timeout=7.5,
    )
    assert settings.host == "conf.example"


def test_arguments_before_environment_before_tc_conf(conf: Path) -> None:
    environ = {**HMAC, "TC_CONFIG": str(conf), "TC_OWNER": "Env Owner", "TC_TIMEOUT": "9", "TC_RETRIES": "2"}
    settings = Settings.resolve(environ=environ, timeout=11.0, proxy=None)
    assert (settings.base_url, settings.default_owner) == ("https://conf.example/api", "Env Owner")
    assert (settings.access_id, settings.timeout, settings.retries) == ("env-id", 11.0, 2)


@pytest.mark.parametrize(
    ("in_conf", "environ", "arguments", "kind"),
    [
        ("api_token = t", HMAC, {}, "hmac"),
        ("api_access_id = i\napi_secret_key = k", {"TC_TOKEN": "t"}, {}, "token"),
        ("api_token = t", {}, {"access_id": "i", "secret_key": "k"}, "hmac"),
        ("", HMAC, {"token": "t"}, "token"),
        ("", {"TC_TOKEN": "t"}, {"access_id": "i", "secret_key": "k"}, "hmac"),
        ("", {**HMAC, "TC_TOKEN": "t"}, {}, "token"),
    ],
)
def test_the_highest_source_says_how_to_sign_in(
    tmp_path: Path, in_conf: str, environ: dict[str, str], arguments: dict[str, str], kind: str
) -> None:
    path = tmp_path / "tc.conf"
    path.write_text(f"[threatconnect]\napi_base_url = {URL}\n{in_conf}\n")
    settings = Settings.resolve(config_file=path, environ=environ, **arguments)
    assert bool(settings.token) == (kind == "token")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"base_url": "tc.example/api"}, "not an http"),
        ({"base_url": "ftp://tc.example"}, "not an http"),
        ({"base_url": "https://[tc.example/api"}, "not an http"),
        ({"base_url": "https://me:pass-word@tc.example/api"}, "must not carry credentials"),
        ({"base_url": "me:pass-word@tc.example/api"}, "must not carry credentials"),
        ({"base_url": f"{URL}?key=pass-word"}, "must not carry credentials"),
        ({"secret_key": None}, "no credentials"),
        ({"timeout": "soon"}, "timeout must be a number"),
        ({"timeout": "0"}, "above 0"),
        ({"timeout": "nan"}, "above 0"),
        ({"timeout": "inf"}, "above 0"),
        ({"retries": "-1"}, "above 0"),
        ({"retries": "1.5"}, "retries must be a number"),
        ({"rate_limit": "0"}, "above 0"),
        ({"activity_log": "maybe"}, "true or false"),
        ({"nonsense": 1}, "unknown settings: nonsense"),
        ({"base_url": None}, "no API URL"),
    ],
)
def test_what_makes_no_sense(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], says: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=says) as caught:
        Settings.resolve(environ={}, **{"base_url": URL, "access_id": "id", "secret_key": "pass-word"} | given)
    assert "pass-word" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"api_secret_key = pass-word\n", b"[other]\n", b"[threatconnect]\npass-word\n", b"\xff"]
)
def test_a_file_that_is_no_tc_conf(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tc.conf"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="is not a tc") as caught:
        Settings.resolve(config_file=path, environ={})
    assert "pass-word" not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot read"):
        Settings.resolve(config_file=tmp_path / "absent.conf", environ={})


def test_credentials_stay_out_of_repr() -> None:
    settings = Settings(base_url=URL, access_id="id", secret_key="pass-word", token="to-ken", proxy="http://u:pr@x")
    assert not any(secret in repr(settings) for secret in ("pass-word", "to-ken", "u:pr"))
