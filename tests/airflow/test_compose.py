"""The compose file and the Dockerfile, as far as they can be checked without a container engine."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from airflow.sdk import Connection
from airflow_home import CONNECTION

from tcetl.airflow.hooks import threatconnect
from tcetl.emulator.tenants import SOURCE, WRITER

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load(COMPOSE.read_text())["services"]


def _default(value: str) -> str:
    """What compose makes of ``${NAME:-default}`` when NAME is not set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def test_compose_file_follows_the_compose_specification():
    checker = Path(sys.executable).with_name("check-jsonschema")
    subprocess.run([checker, "--builtin-schema", "vendor.compose-spec", COMPOSE], check=True)


def test_all_parts_of_airflow_are_there(services):
    assert {"postgres", "migrate", "api-server", "scheduler", "dag-processor", "triggerer", "emulator"} == set(services)
    for name in ("scheduler", "triggerer", "dag-processor"):
        shared = {key: services[name][key] for key in ("image", "environment", "volumes")}
        assert shared == {key: services["api-server"][key] for key in shared}


def test_default_connection_leads_to_the_emulator(services, monkeypatch):
    uri = _default(services["scheduler"]["environment"][CONNECTION])
    settings = threatconnect._settings(Connection.from_uri(uri, conn_id="threatconnect_default"))
    port = services["emulator"]["command"][services["emulator"]["command"].index("--port") + 1]
    assert settings.base_url == f"http://emulator:{port}/api"
    assert (settings.access_id, settings.secret_key) == (WRITER.access_id, WRITER.secret_key)
    assert settings.default_owner == SOURCE


def test_nothing_is_reachable_from_other_machines(services):
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:8080:8080"]


def test_image_is_of_the_locked_airflow():
    (version,) = re.findall(r"^ARG AIRFLOW_VERSION=(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    locked = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    assert version in {package["version"] for package in locked if package["name"] == "apache-airflow"}


def test_everything_the_image_is_built_of_is_there():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY \S+ (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for name in " ".join(copied).split():
        assert (ROOT / name).exists()
        assert f"!{name}" in ignored
