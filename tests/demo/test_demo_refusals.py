"""When the demo must not call itself a success, and when it does not even start."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tcetl.cli.app import app
from tcetl.demo.dag_runner import Airflow, DemoError
from tcetl.demo.outcome import Check


def demo(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["demo", *map(str, arguments)], env={"COLUMNS": "200"})


def test_a_directory_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    result = demo("--out", tmp_path)
    assert result.exit_code == 2
    assert "not an empty directory" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("content", "said"), [("", "empty"), ("<html><body>Sign in</body></html>", "HTML"), (None, "exist")]
)
def test_a_feed_that_is_none_starts_nothing(tmp_path: Path, content: str | None, said: str) -> None:
    feed = tmp_path / "feed.csv"
    if content is not None:
        feed.write_text(content)
    result = demo("--feed", feed, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert said in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_check_compares_names_too() -> None:
    assert Check("same", {"URL": 1, "Host": 2}, {"Host": 2, "URL": 1}).holds
    assert not Check("other kinds", {"URL": 1}, {"Host": 1}).holds


class _Child:
    """A child process that says what it is given to say."""

    def __init__(self, *lines: str) -> None:
        import io

        self.stdin = io.StringIO()
        self.stdout = iter(lines)

    def wait(self) -> int:
        return 7


def test_an_airflow_that_died_before_it_was_told_what_to_do(tmp_path: Path) -> None:
    class Closed:
        def write(self, text: str) -> None:
            raise BrokenPipeError

    child: Any = _Child()
    child.stdin = Closed()
    with pytest.raises(DemoError, match="Airflow ended with status 7"):
        Airflow(child, tmp_path / "demo.log").run("x", {})


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (['{"event": "broken", "error": "dags/x.py: SyntaxError"}'], "SyntaxError"),
        ([], "status 7"),
        (
            [
                '{"event": "task", "task_id": "upload", "state": "failed", "error": "no route"}',
                '{"event": "dag", "dag_id": "x", "state": "failed", "results": {}}',
            ],
            "upload: no route",
        ),
    ],
    ids=["broken DAG", "dead process", "failed task"],
)
def test_trouble_in_airflow_is_told_once_and_clearly(lines: list[str], said: str, tmp_path: Path) -> None:
    child: Any = _Child(*lines)
    with pytest.raises(DemoError, match=said) as caught:
        Airflow(child, tmp_path / "demo.log").run("x", {})
    assert "demo.log" in caught.value.hint
