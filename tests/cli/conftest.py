from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tcetl.cli.app import app
from tcetl.emulator import Emulator

Tcetl = Callable[..., Result]


@pytest.fixture
def connection(tc_emulator: Emulator) -> dict[str, str]:
    """The environment of somebody who may read and write the emulator's owners."""
    return {
        "TC_API_URL": tc_emulator.url,
        "TC_ACCESS_ID": tc_emulator.access_id,
        "TC_SECRET_KEY": tc_emulator.secret_key,
        "TC_OWNER": tc_emulator.SOURCE,
        "TC_RETRIES": "0",
    }


@pytest.fixture
def tcetl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tcetl:
    """Call the command in an empty directory, with no connection but the one in ``env``."""
    monkeypatch.chdir(tmp_path)
    for name in ("TC_API_URL", "TC_ACCESS_ID", "TC_SECRET_KEY", "TC_TOKEN", "TC_OWNER", "TC_CONFIG"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str | Path, env: dict[str, str] | None = None) -> Result:
        wide = {"COLUMNS": "200", **(env or {})}
        return CliRunner().invoke(app, [str(argument) for argument in arguments], env=wide)

    return call


FEED = """\
indicator,type,tags
http://drop.example.com/a,url,"demo,loader"
hxxp://drop[.]example[.]com/a,url,demo
c2.example.net,domain,demo
198.51.100.7,ip,demo
999.1.1.1,ip,demo
"""


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    """Three indicators, one of them twice, and a row that is none."""
    path = tmp_path / "feed.csv"
    path.write_text(FEED)
    return path
