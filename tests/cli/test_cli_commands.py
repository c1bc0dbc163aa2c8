import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
import pyzipper
from typer.testing import Result

import tcetl.pipeline
from tcetl.emulator import Emulator

Tcetl = Callable[..., Result]


def test_version(tcetl: Tcetl) -> None:
    result = tcetl("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("tcetl 0.")


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["demo"],
        ["emulator"],
        ["owners"],
        ["feed"],
        ["feed", "preview"],
        ["load"],
        ["batch"],
        ["batch", "status"],
        ["batch", "show"],
        ["batch", "errors"],
        ["batch", "resume"],
        ["batch", "submit"],
        ["batch", "retry"],
        ["batch", "abandon"],
        ["bulk"],
        ["retrieve"],
        ["export"],
    ],
)
def test_help_teaches(tcetl: Tcetl, command: list[str]) -> None:
    result = tcetl(*command, "--help")
    assert result.exit_code == 0
    if command not in (["feed"], ["batch"]):
        assert "Examples" in result.stdout
        assert f"tcetl {' '.join(command)}".rstrip() in result.stdout.split("Examples")[1]


def test_no_option_takes_a_secret(tcetl: Tcetl) -> None:
    for command in (["owners"], ["load"], ["bulk"], ["retrieve"], ["batch", "retry"], ["batch", "status"]):
        text = tcetl(*command, "--help").stdout.lower()
        assert "--api-url" in text
        assert not [word for word in ("--secret", "--token", "--password", "--access-id") if word in text]


def test_help_needs_no_heavy_module() -> None:
    heavy = ["airflow", "duckdb", "matplotlib", "pandas", "polars", "pyarrow", "starlette", "uvicorn"]
    code = f"import sys, tcetl.cli.app; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_job_can_be_had_from_the_pipeline() -> None:
    assert [name for name in tcetl.pipeline.__all__ if not hasattr(tcetl.pipeline, name)] == []
    assert not hasattr(tcetl.pipeline, "bulk_to_nowhere")


@pytest.mark.parametrize(
    ("job", "spared"),
    [
        ("bulk_to_lake", ["polars", "pandas", "tcetl.feeds", "tcetl.load", "tcetl.siem"]),
        ("lake_to_siem", ["pandas", "tcetl.client", "tcetl.feeds", "tcetl.load"]),
    ],
)
def test_a_job_imports_only_what_it_is_made_of(job: str, spared: list[str]) -> None:
    code = f"import sys; from tcetl.pipeline import {job}; print([name for name in {spared} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_core_commands_need_no_extra() -> None:
    code = (
        "import sys\n"
        "for name in ('airflow', 'jinja2', 'matplotlib', 'starlette', 'uvicorn', 'trustme'): sys.modules[name] = None\n"
        "import tcetl.cli.app, tcetl.feeds, tcetl.siem, tcetl.lake\n"
        "from tcetl.pipeline import *\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_owners(tcetl: Tcetl, connection: dict[str, str]) -> None:
    result = tcetl("owners", env=connection)
    assert result.exit_code == 0
    assert "Demo Source" in result.stdout
    listed = json.loads(tcetl("owners", "--json", env=connection).stdout)
    assert {"id": 2, "name": "Demo Source", "type": "Source"} in listed


def test_connection_from_a_file(tcetl: Tcetl, tc_emulator: Emulator, tmp_path: Path) -> None:
    conf = tmp_path / "my.conf"
    conf.write_text(
        f"[threatconnect]\napi_base_url = {tc_emulator.url}\n"
        f"api_access_id = {tc_emulator.access_id}\napi_secret_key = {tc_emulator.secret_key}\n"
    )
    assert tcetl("owners", "--config", conf).exit_code == 0


def test_trusting_a_certificate(tcetl: Tcetl, tc_emulator_tls: Emulator) -> None:
    env = {"TC_API_URL": tc_emulator_tls.url, "TC_TOKEN": tc_emulator_tls.token, "TC_RETRIES": "0"}
    refused = tcetl("owners", env=env)
    assert refused.exit_code == 1
    assert "certificate" in refused.stderr.lower()
    assert tc_emulator_tls.ca_file is not None
    assert tcetl("owners", "--ca-file", tc_emulator_tls.ca_file, env=env).exit_code == 0
    with pytest.warns(Warning, match="Unverified HTTPS"):
        assert tcetl("owners", "--insecure", env=env).exit_code == 0


def test_feed_preview_shows_and_sends_nothing(tcetl: Tcetl, feed: Path) -> None:
    result = tcetl("feed", "preview", feed)
    assert result.exit_code == 0
    assert "http://drop.example.com/a" in result.stdout
    assert "bad-address" in result.stdout
    told = json.loads(tcetl("feed", "preview", feed, "--json").stdout)
    assert (told["rows_read"], told["duplicates"], told["rejected"]) == (5, 1, {"bad-address": 1})
    assert sum(told["indicators"].values()) == len(told["some_indicators"]) == 3
    assert {"row": 6, "code": "bad-address", "raw": "999.1.1.1"}.items() <= told["some_rejects"][0].items()
    assert json.loads(tcetl("feed", "preview", feed, "--json", "--rows", "0").stdout)["some_indicators"] == []


def test_lists_scores_and_labels_by_option(
    tcetl: Tcetl, connection: dict[str, str], tc_emulator: Emulator, feed: Path, tmp_path: Path
) -> None:
    (tmp_path / "ours.txt").write_text("example.net\n")
    options = [
        "--allow-list",
        "reserved",
        "--allow-list",
        "ours.txt=tag",
        "--score",
        "type=Host,rating=5,confidence=90",
    ]
    options += ["--tlp", "amber", "--security-label", "Internal"]
    shown = json.loads(tcetl("feed", "preview", feed, "--json", *options).stdout)
    assert shown["rejected"] == {"allow-listed": 1, "bad-address": 1}
    loaded = tcetl("feed", "load", feed, "--run-dir", "run", "--json", *options, env=connection)
    assert loaded.exit_code == 0, loaded.output
    assert json.loads(loaded.stdout)["rejected"] == shown["rejected"]
    stored = tc_emulator.indicator("Demo Source", "Host", "c2.example.net")
    assert stored is not None
    assert (stored["rating"], stored["confidence"]) == (5, 90)
    assert "allow-list: ours" in {tag["name"] for tag in stored["tags"]}
    assert {label["name"] for label in stored["labels"]} == {"TLP:AMBER", "Internal"}


@pytest.mark.parametrize(
    ("name", "text", "hint", "mend"),
    [
        ("none.csv", "name,thing\nx,foo bar\n", "--column value=NAME", []),
        ("free.txt", "Global\\foo bar\nsome mutex\n", "--column value_type=Mutex", ["--column", "value_type=Mutex"]),
        ("two.json", '{"a": [{"ip": "192.0.2.1"}], "b": [{"ip": "192.0.2.2"}]}', "--option records=/a",
         ["--option", "records=/a"]),
    ],
)  # fmt: skip
def test_a_hint_names_the_option_that_mends_it(
    tcetl: Tcetl, tmp_path: Path, *, name: str, text: str, hint: str, mend: list[str]
) -> None:
    (tmp_path / name).write_text(text)
    kind = ["--format", "list"] if name.endswith(".txt") else []
    refused = tcetl("feed", "preview", name, *kind)
    assert refused.exit_code == 1
    assert hint in refused.stderr
    if mend:
        assert tcetl("feed", "preview", name, *kind, *mend).exit_code == 0


def test_an_archive_by_option(tcetl: Tcetl, tmp_path: Path) -> None:
    with pyzipper.AESZipFile(tmp_path / "feeds.zip", "w", encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(b"infected")
        archive.writestr("a.txt", "192.0.2.1\n")
        archive.writestr("b.csv", "url\nhttp://a.example.com/\n")
    refused = tcetl("feed", "preview", "feeds.zip")
    assert "--archive-password-env" in refused.stderr
    options = ["--member", "b.csv", "--archive-password-env", "ZIP_PASSWORD"]
    unset = tcetl("feed", "preview", "feeds.zip", *options)
    assert (unset.exit_code, "ZIP_PASSWORD holds no password" in unset.stderr) == (1, True)
    read = tcetl("feed", "preview", "feeds.zip", "--json", *options, env={"ZIP_PASSWORD": "infected"})
    assert json.loads(read.stdout)["indicators"] == {"URL": 1}
    assert "infected" not in read.output


def test_columns_by_option(tcetl: Tcetl, tmp_path: Path) -> None:
    (tmp_path / "mixed.json").write_text('{"a": [], "b": [{"bad": "x.example.com", "ip": "192.0.2.1", "of": "c2"}]}')
    options = ["--option", "records=/b", "--column", "value=bad", "--column", "tags=of"]
    few = json.loads(tcetl("feed", "preview", "mixed.json", "--json", *options).stdout)
    assert few["indicators"] == {"Host": 1}
    assert any("--also 'ip'" in note for note in few["notes"])
    both = json.loads(tcetl("feed", "preview", "mixed.json", "--json", *options, "--also", "ip=Address").stdout)
    assert (both["indicators"], both["notes"], both["unused"]) == ({"Address": 1, "Host": 1}, [], [])


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (["--column", "valeu=x"], "ROLE=COLUMN"),
        (["--option", "records"], "NAME=VALUE"),
        (["--tlp", "pink"], "TLP:PINK"),
        (["--score", "tag=c2"], "neither rating nor confidence"),
        (["--decay", "often"], "no time span"),
        (["--allow-list", "x=tag,drop"], "tag and drop"),
    ],
)
def test_an_option_that_makes_no_sense_is_a_wrong_call(tcetl: Tcetl, feed: Path, option: list[str], says: str) -> None:
    refused = tcetl("feed", "preview", feed, *option)
    assert refused.exit_code == 2
    assert says in " ".join(refused.stderr.split())


def test_load_then_bulk_then_export(
    tcetl: Tcetl, connection: dict[str, str], tc_emulator: Emulator, feed: Path, tmp_path: Path
) -> None:
    loaded = tcetl("load", feed, "--run-dir", "run", "--tag", "mine", "--confidence", "61", "--json", env=connection)
    assert loaded.exit_code == 0, loaded.output
    report = json.loads(loaded.stdout)
    assert (report["rows_read"], report["succeeded"], report["duplicates"]) == (5, 3, 1)
    stored = tc_emulator.indicator("Demo Source", "Host", "c2.example.net")
    assert stored is not None
    assert stored["confidence"] == 61
    assert "mine" in {tag["name"] for tag in stored["tags"]}

    again = tcetl("load", feed, "--run-dir", "run", "--json", env=connection)
    assert json.loads(again.stdout)["jobs"] == 1
    assert len(tc_emulator.journal("/v2/batch", method="POST")) == 1, "a finished run is not sent again"

    published = tcetl("bulk", "--run-now", "--run-id", "one", "--json", env=connection)
    assert published.exit_code == 0, published.output
    dataset = json.loads(published.stdout)
    query = f"SELECT type, count(*) FROM '{dataset['path']}/*.parquet' GROUP BY type"
    assert dict(duckdb.sql(query).fetchall()) == dataset["by_type"] == {"Address": 1, "Host": 1, "URL": 1}

    for form in ("cef", "csv", "ndjson"):
        exported = tcetl("export", "lake", f"out.{form}", "--format", form, "--json")
        assert exported.exit_code == 0, exported.output
        assert json.loads(exported.stdout)["written"] == 3
        assert (tmp_path / f"out.{form}").is_file()


def test_records_of_a_report_that_are_no_indicators_are_counted_and_kept(
    tcetl: Tcetl, connection: dict[str, str], tc_emulator: Emulator, tmp_path: Path
) -> None:
    tc_emulator.seed("Demo Source", 1)
    good = {"id": 1, "ownerName": "Demo Source", "type": "Host", "summary": "a.example"}
    report = {"indicator": [good, {"id": 2, "type": "Host", "x": "y" * 9_999}, "none"]}
    for _ in range(2):
        tc_emulator.add_fault("status", route="/v2/indicators/bulk/json", status=200, body=json.dumps(report))
    shown = tcetl("bulk", env=connection)
    assert "rejected    2: see" in shown.stdout
    published = json.loads(tcetl("bulk", "--run-id", "one", "--json", env=connection).stdout)
    assert (published["rows"], published["rejected"]) == (1, 2)
    assert json.loads(Path(published["manifest_path"]).read_text())["rejected"] == 2
    rejects = [json.loads(line) for line in Path(published["rejects_path"]).read_text().splitlines()]
    assert [(row["row"], row["pointer"], row["code"]) for row in rejects] == [
        (2, "/indicator/1", "no-ownername"),
        (3, "/indicator/2", "not-an-object"),
    ]
    assert rejects[0]["raw"].startswith('{"id": 2')
    assert len(rejects[0]["raw"]) == 2_000
    query = f"SELECT count(*) FROM read_parquet('{tmp_path}/lake/v1/**/*.parquet')"
    assert duckdb.sql(query).fetchall() == [(2,)], "the rejects do not disturb who reads the whole lake"


def test_tables_for_people(tcetl: Tcetl, connection: dict[str, str], feed: Path) -> None:
    loaded = tcetl("load", feed, env=connection)
    assert "3 in 1 job" in loaded.stdout
    assert "bad-address: 1" in loaded.stdout
    published = tcetl("bulk", "--run-now", env=connection)
    assert "Address: 1, Host: 1, URL: 1" in published.stdout
    exported = tcetl("export", "lake", "out.cef", "--format", "cef")
    assert "out.cef" in exported.stdout


def test_retrieve_through_filters(tcetl: Tcetl, connection: dict[str, str], tc_emulator: Emulator) -> None:
    tc_emulator.seed("Demo Source", 500)
    hosts = tcetl("retrieve", "--type", "Host", "--run-id", "hosts", "--json", env=connection)
    assert hosts.exit_code == 0, hosts.output
    assert json.loads(hosts.stdout)["by_type"] == {"Host": tc_emulator.counts("Demo Source")["Host"]}
    sure = tcetl("retrieve", "--filter", "confidence>90", "--run-id", "sure", "--json", env=connection)
    path = json.loads(sure.stdout)["path"]
    assert duckdb.sql(f"SELECT min(confidence) > 90, count(*) > 0 FROM '{path}/*.parquet'").fetchall() == [(True, True)]
    future = tcetl("retrieve", "--modified-since", "2999-01-01", "--run-id", "future", "--json", env=connection)
    assert json.loads(future.stdout)["rows"] == 0


def test_emulator_serves_until_interrupted(tmp_path: Path) -> None:
    import signal

    import requests

    command = [sys.executable, "-c", "from tcetl.cli import main; main()", "emulator", "--port", "0", "--seed", "10"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(8)]
        url = next(line for line in lines if "TC_API_URL=" in line).split("=")[1].strip()
        assert requests.get(f"{url}/v2/owners", timeout=10).status_code == 401
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.communicate()
