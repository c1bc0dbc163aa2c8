"""Fixtures around the scripted server."""

from collections.abc import Iterator

import pytest
from scripted import SECRET, Api, serve

from tcetl.client import ThreatConnect
from tcetl.config import Settings


@pytest.fixture
def api() -> Iterator[Api]:
    with serve() as scripted:
        yield scripted


@pytest.fixture
def settings(api: Api) -> Settings:
    return Settings(base_url=api.url, access_id="4711", secret_key=SECRET, timeout=5, retries=3)


@pytest.fixture
def tc(settings: Settings, naps: list[float]) -> Iterator[ThreatConnect]:
    with ThreatConnect(settings) as connection:
        yield connection


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the client meant to sleep, which it does not do in tests."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    return slept
