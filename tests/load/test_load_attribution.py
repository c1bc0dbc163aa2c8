"""The measure of attribution (benchmarks/attribution.py) in small: every code finds its row, no error a wrong one."""

import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def attribution(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import attribution as module

    monkeypatch.setattr(sys.modules["tcetl.load.submit"], "POLL", (0.02, 0.2))
    return module


def test_errors_of_every_code_find_their_rows_and_the_retry_sends_those(attribution: Any, tmp_path: Path) -> None:
    result = attribution.measure(600, 60, 7, tmp_path, max_records=100)
    codes = [f"0x{number:X}" for number in (*range(0x1001, 0x100C), 0x2001, 0x2002, 0x2003, 0x3001)]
    assert set(result.truth) == set(codes)
    assert not result.wrong
    assert result.right == result.truth
    assert (result.unattributed, result.resent_wrongly) == (0, 0)
    assert result.resent == result.owed
    assert result.passed

    # Another truth, and the measure must say that errors went to wrong rows.
    truth = attribution.generate(600, 56, 7, 1).truth
    first, second, *_ = sorted(truth)
    judged = attribution.Result()
    attribution.judge(attribution.Run.open(tmp_path / "create"), truth | {first: "0x1007"}, judged)
    assert (len(judged.wrong), judged.passed) == (1, False)
    del truth[second]
    attribution.judge(attribution.Run.open(tmp_path / "create"), truth, judged)
    assert len(judged.wrong) == 2
