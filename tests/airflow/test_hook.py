import json

import pytest
from airflow.sdk import Connection

from tcetl.airflow.hooks.threatconnect import ThreatConnectHook
from tcetl.errors import ConfigError

ID, KEY, TOKEN = "access-id", "the-secret-key", "APIV2:the-token"


@pytest.fixture
def connect(monkeypatch):
    """A hook for a connection given as URI or as the fields of its JSON form."""
    for name in ("TC_API_URL", "TC_ACCESS_ID", "TC_SECRET_KEY", "TC_TOKEN", "TC_OWNER", "TC_CONFIG"):
        monkeypatch.delenv(name, raising=False)

    def hook(uri: str | None = None, **fields):
        value = uri or json.dumps({"conn_type": "threatconnect", "login": ID, "password": KEY} | fields)
        monkeypatch.setenv("AIRFLOW_CONN_TC", value)
        return ThreatConnectHook("tc")

    return hook


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": "app.example.com"}, "https://app.example.com/api"),
        ({"host": "app.example.com", "port": 8443}, "https://app.example.com:8443/api"),
        ({"host": "app.example.com", "schema": "http", "port": 80}, "http://app.example.com:80/api"),
        ({"host": "app.example.com/tc/api/"}, "https://app.example.com/tc/api"),
        ({"host": "https://app.example.com"}, "https://app.example.com/api"),
        ({"host": "http://127.0.0.1:8089/api"}, "http://127.0.0.1:8089/api"),
        ({"host": "https://app.example.com:444/api", "port": 1}, "https://app.example.com:444/api"),
        ({"host": "[2001:db8::1]", "port": 8443}, "https://[2001:db8::1]:8443/api"),
        ({"host": " app.example.com "}, "https://app.example.com/api"),
    ],
)
def test_base_url_from_host_schema_and_port(connect, fields, url):
    assert connect(**fields).settings.base_url == url


def test_connection_as_uri(connect):
    settings = connect(f"threatconnect://{ID}:{KEY}@app.example.com:8443/http?timeout=5&verify_tls=false").settings
    assert (settings.base_url, settings.timeout, settings.verify) == ("http://app.example.com:8443/api", 5.0, False)
    assert (settings.access_id, settings.secret_key) == (ID, KEY)


def test_every_field_of_the_form_reaches_the_settings(connect):
    extra = {
        "default_owner": "Demo Source",
        "token": TOKEN,
        "verify_tls": False,
        "proxy": "http://user:word@proxy.example.com:3128",
        "timeout": 7,
        "retries": 2,
        "rate_limit": 3.5,
    }
    settings = connect(host="app.example.com", extra=extra).settings
    assert settings.token == TOKEN
    assert settings.default_owner == "Demo Source"
    assert settings.verify is False
    assert settings.proxy == "http://user:word@proxy.example.com:3128"
    assert (settings.timeout, settings.retries, settings.rate_limit) == (7, 2, 3.5)


def test_a_form_left_empty_means_the_defaults(connect):
    extra = {"default_owner": "", "token": None, "verify_tls": True, "ca_file": "", "proxy": "", "timeout": None}
    settings = connect(host="app.example.com", extra=extra).settings
    assert (settings.token, settings.verify, settings.proxy, settings.timeout) == (None, True, None, 60.0)


def test_ca_file_is_what_is_verified_against(connect):
    assert connect(host="app.example.com", extra={"ca_file": "/etc/ca.pem", "verify_tls": True}).settings.verify == (
        "/etc/ca.pem"
    )


def test_a_token_needs_no_login(connect):
    settings = connect(host="app.example.com", login=None, password=None, extra={"token": TOKEN}).settings
    assert (settings.token, settings.secret_key) == (TOKEN, None)


def test_a_connection_without_credentials_says_so(connect):
    with pytest.raises(ConfigError, match="no credentials"):
        _ = connect(host="app.example.com", login=None, password=None).settings


def test_a_port_that_is_no_number_is_named(connect):
    with pytest.raises(ConfigError, match=r"host 'app\.example\.com:x' of connection tc"):
        _ = connect(host="app.example.com:x").settings


def test_owner_is_the_one_named_or_the_connections_default(connect):
    hook = connect(host="app.example.com", extra={"default_owner": "Demo Source"})
    assert (hook.owner("Mine"), hook.owner(""), hook.owner(None)) == ("Mine", "Demo Source", "Demo Source")
    with pytest.raises(ConfigError, match=r"no owner is named.*default owner of connection tc"):
        connect(host="app.example.com").owner(None)


def test_button_test_connects_and_lists_owners(default_connection):
    fine, message = ThreatConnectHook().test_connection()
    assert fine
    assert default_connection.SOURCE in message
    assert default_connection.COMMUNITY in message


def test_button_test_tells_what_is_wrong_without_the_secret(default_connection, connect):
    hook = connect(host=default_connection.url, login=default_connection.access_id, extra={"retries": 0})
    fine, message = hook.test_connection()
    assert not fine
    assert "401 Signature" in message
    assert "secret key" in message
    assert KEY not in message


def test_unreachable_host_is_named(connect):
    fine, message = connect(host="http://127.0.0.1:1/api", extra={"retries": 0}).test_connection()
    assert not fine
    assert "127.0.0.1:1" in message


def test_client_shows_no_secret(connect):
    hook = connect(host="app.example.com", extra={"token": TOKEN})
    with hook.get_conn() as tc:
        shown = repr((tc, tc.settings, hook.settings))
    assert KEY not in shown
    assert TOKEN not in shown


def test_trigger_gets_the_same_client(connect, monkeypatch):
    import asyncio

    hook = connect(host="app.example.com")

    async def found(conn_id: str) -> Connection:
        return Connection.from_uri(f"threatconnect://{ID}:{KEY}@app.example.com", conn_id=conn_id)

    monkeypatch.setattr(hook, "aget_connection", found)
    with asyncio.run(hook.aget_conn()) as tc, hook.get_conn() as other:
        assert tc.settings == other.settings
