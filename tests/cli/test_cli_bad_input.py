"""Every way to call it wrongly: one clear error that names the thing and the mend, and nothing half-published."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tcetl.emulator import Emulator

Tcetl = Callable[..., Result]


def one_error(result: object) -> str:
    """The single error line of *result*, after checking that it is clear: no traceback, an ``error:``, a ``hint:``."""
    stderr: str = result.stderr  # type: ignore[attr-defined]
    lines = stderr.splitlines()
    assert "Traceback" not in stderr
    assert [line for line in lines if line.startswith("error: ")] == lines[:1], stderr
    assert all(line.startswith(("error: ", "hint: ")) for line in lines), stderr
    return stderr


def test_wrong_credentials(tcetl: Tcetl, connection: dict[str, str]) -> None:
    result = tcetl("owners", env=connection | {"TC_SECRET_KEY": "not-the-secret-key"})
    assert result.exit_code == 1
    error = one_error(result)
    assert "Signature data did not match expected result" in error
    assert "hint: " in error
    assert "not-the-secret-key" not in result.output


def test_wrong_token(tcetl: Tcetl, connection: dict[str, str]) -> None:
    del connection["TC_SECRET_KEY"]
    result = tcetl("bulk", env=connection | {"TC_TOKEN": "APIV2:not-a-token"})
    assert result.exit_code == 1
    error = one_error(result)
    assert "Unauthorized" in error
    assert "hint: check the API token" in error
    assert "not-a-token" not in result.output


@pytest.mark.parametrize(
    ("change", "said"),
    [(("/api", "/wrong"), "check the API URL: it ends in /api"), (("http:", "https:"), "does its port speak TLS")],
    ids=["path", "scheme"],
)
def test_wrong_address(tcetl: Tcetl, connection: dict[str, str], change: tuple[str, str], said: str) -> None:
    result = tcetl("owners", env=connection | {"TC_API_URL": connection["TC_API_URL"].replace(*change)})
    assert result.exit_code == 1
    assert said in one_error(result)


def test_no_connection_at_all(tcetl: Tcetl) -> None:
    result = tcetl("owners")
    assert result.exit_code == 2
    assert "TC_API_URL" in one_error(result)


def test_no_owner_named(tcetl: Tcetl, connection: dict[str, str], feed: Path) -> None:
    del connection["TC_OWNER"]
    result = tcetl("load", feed, env=connection)
    assert result.exit_code == 2
    assert "--owner" in one_error(result)


def test_unreachable_host(tcetl: Tcetl, connection: dict[str, str], feed: Path, tmp_path: Path) -> None:
    result = tcetl("load", feed, "--run-dir", "run", env=connection | {"TC_API_URL": "http://127.0.0.1:9/api"})
    assert result.exit_code == 1
    assert "127.0.0.1:9" in one_error(result)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", [["load", "feed.csv"], ["bulk"], ["retrieve"]])
def test_owner_that_does_not_exist(
    tcetl: Tcetl, connection: dict[str, str], feed: Path, tmp_path: Path, command: list[str]
) -> None:
    result = tcetl(*command, "--owner", "No Such Owner", env=connection)
    assert result.exit_code == 1
    error = one_error(result)
    assert "No Such Owner" in error
    assert not list(tmp_path.rglob("*.parquet"))


def test_bulk_report_not_enabled(tcetl: Tcetl, connection: dict[str, str], tmp_path: Path) -> None:
    result = tcetl("bulk", "--owner", "Silent Source", env=connection)
    assert result.exit_code == 1
    error = one_error(result)
    assert "Silent Source" in error
    assert "hint: " in error
    assert not list(tmp_path.rglob("*.parquet"))


def test_bulk_report_too_old(tcetl: Tcetl, connection: dict[str, str], tc_emulator: Emulator) -> None:
    tc_emulator.seed("Demo Source", 10)
    tc_emulator.advance_clock(2 * 86400)
    result = tcetl("bulk", "--max-age", "36h", env=connection)
    assert result.exit_code == 1
    assert "Demo Source" in one_error(result)


@pytest.mark.parametrize(
    "bad",
    [
        ("", "empty"),
        ("<!DOCTYPE html><html><body>Please sign in</body></html>", "HTML"),
        ("colour,size\nred,big\nblue,small\n", "colour, size"),
    ],
    ids=["empty", "html", "no usable column"],
)
def test_unusable_feed(
    tcetl: Tcetl, connection: dict[str, str], tc_emulator: Emulator, tmp_path: Path, bad: tuple[str, str]
) -> None:
    content, said = bad
    (tmp_path / "bad.csv").write_text(content)
    for command in (["load", "bad.csv", "--run-dir", "run"], ["feed", "preview", "bad.csv"]):
        result = tcetl(*command, env=connection)
        assert result.exit_code == 1
        error = one_error(result)
        assert said in error
        assert "bad.csv" in error
        assert "hint: " in error
    assert not list((tmp_path / "run").rglob("*.json"))
    assert not tc_emulator.journal("/v2/batch", method="POST")


def test_feed_that_is_not_there(tcetl: Tcetl) -> None:
    result = tcetl("feed", "preview", "nowhere.csv")
    assert result.exit_code == 1
    assert "nowhere.csv" in one_error(result)


def test_more_refused_than_allowed(tcetl: Tcetl, connection: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "feed.csv").write_text("domain\nc2.example.net\nwww.excluded.example\n")
    refused = tcetl("load", "feed.csv", "--run-dir", "one", "--json", env=connection)
    assert refused.exit_code == 3
    assert "1 of 2 records" in one_error(refused)
    report = json.loads(refused.stdout)
    assert (report["succeeded"], report["failed"]) == (1, 1), "the run is over: its report is shown before the error"
    assert "www.excluded.example" in Path(report["rejects_path"]).with_suffix(".csv").read_text()

    allowed = tcetl("load", "feed.csv", "--run-dir", "two", "--max-errors", "1", env=connection)
    assert allowed.exit_code == 0


def test_unknown_format(tcetl: Tcetl, connection: dict[str, str], tc_emulator: Emulator, tmp_path: Path) -> None:
    tc_emulator.seed("Demo Source", 10)
    assert tcetl("bulk", env=connection).exit_code == 0
    result = tcetl("export", "lake", "out.xyz", "--format", "xyz")
    assert result.exit_code in {1, 2}
    assert "cef" in one_error(result)
    assert not (tmp_path / "out.xyz").exists()


def test_no_dataset_to_export(tcetl: Tcetl) -> None:
    result = tcetl("export", "lake", "out.cef", "--format", "cef")
    assert result.exit_code == 1
    assert "lake" in one_error(result)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bulk", "--max-age", "soon"], "soon"),
        (["retrieve", "--modified-since", "yesterday"], "yesterday"),
        (["load"], "FEED"),
        (["load", "feed.csv", "--confidence", "101"], "--confidence"),
        (["nonsense"], "nonsense"),
    ],
)
def test_usage_errors(tcetl: Tcetl, arguments: list[str], said: str) -> None:
    result = tcetl(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_certificate_options_that_fight(tcetl: Tcetl, connection: dict[str, str], tmp_path: Path) -> None:
    result = tcetl("owners", "--insecure", "--ca-file", "ca.pem", env=connection)
    assert result.exit_code == 2
    one_error(result)
    missing = tcetl("owners", "--ca-file", "ca.pem", env=connection)
    assert missing.exit_code == 2
    assert "ca.pem" in one_error(missing)


def test_ctrl_c(tcetl: Tcetl, connection: dict[str, str], feed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tcetl.pipeline.load.submit", interrupted)
    result = tcetl("load", feed, "--run-dir", "run", env=connection)
    assert result.exit_code == 130
    assert one_error(result) == "error: interrupted\n"


@pytest.mark.parametrize(("module", "command"), [("uvicorn", "emulator"), ("jinja2", "demo"), ("matplotlib", "demo")])
def test_missing_extra(module: str, command: str, tmp_path: Path) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; from tcetl.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, command], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    assert module in one_error(done)
    assert "pip install 'tcetl[" in done.stderr
    assert not list(tmp_path.iterdir())


def test_full_disk_at_publish(connection: dict[str, str], tc_emulator: Emulator, tmp_path: Path) -> None:
    def tcetl(*arguments: str, room: int | None = None) -> "subprocess.CompletedProcess[str]":
        limit = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))) if room else None
        return subprocess.run(
            [sys.executable, "-c", "from tcetl.cli import main; main()", *arguments],
            capture_output=True, text=True, check=False, cwd=tmp_path, env=os.environ | connection,
            preexec_fn=limit,
        )  # fmt: skip

    tc_emulator.seed("Demo Source", 5000)
    assert tcetl("bulk", "--run-id", "whole").returncode == 0
    before = {path: path.read_bytes() for path in (tmp_path / "lake").rglob("*") if path.is_file()}

    full = tcetl("bulk", "--run-id", "broken", room=40_000)
    assert full.returncode == 1
    assert str(tmp_path / "lake") in one_error(full) or "lake" in full.stderr
    assert {path: path.read_bytes() for path in (tmp_path / "lake").rglob("*") if path.is_file()} == before

    full = tcetl("export", "lake", "out.cef", "--format", "cef", room=40_000)
    assert full.returncode == 1
    assert "File too large" in one_error(full)  # of out.cef, or of what is written aside to sort it
    assert not [path for path in tmp_path.iterdir() if "out.cef" in path.name]

    (tmp_path / "feed.csv").write_text("url\n" + "".join(f"http://h{n}.example/\n" for n in range(500)))
    full = tcetl("load", "feed.csv", "--run-dir", "run", room=10_000)
    assert full.returncode == 1
    assert "run/chunks" in one_error(full)
    assert not tc_emulator.journal("/v2/batch", method="POST")
    again = tcetl("load", "feed.csv", "--run-dir", "run", "--json")
    assert json.loads(again.stdout)["succeeded"] == 500

    for command in (["emulator", "--port", "0", "--seed", "5000", "--data-dir", "out"], ["demo", "--out", "demo"]):
        full = tcetl(*command, room=40_000)
        assert full.returncode == 1
        assert f"{command[-1]}" in one_error(full)
