"""Scores by rule and by age: what counts, what wins, and that time is a given."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcetl.feeds import open_feed
from tcetl.transform import Decay, Normalised, ScoreRule, normalise, score

NOW = datetime(2026, 3, 31, tzinfo=UTC)
FEED = """ioc,tags,confidence,first_seen,last_seen
a.example.com,Ransomware,80,2026-01-01 00:00:00,2026-03-01 00:00:00
b.example.com,"c2,ransomware",80,2026-03-01 00:00:00,
198.51.100.7,c2,80,,
198.51.100.8,,,2026-03-31 00:00:00,2026-04-30 00:00:00
"""


@pytest.fixture
def feed(tmp_path: Path) -> Normalised:
    path = tmp_path / "feed.csv"
    path.write_text(FEED)
    return normalise(open_feed(path), owner="Mine")


def scores(result: Normalised) -> dict[str, tuple[Any, Any]]:
    rows = result.indicators.select(["summary", "rating", "confidence"]).to_pylist()
    return {row["summary"]: (row["rating"], row["confidence"]) for row in rows}


def test_the_first_rule_that_fits_decides_each_score(feed: Normalised) -> None:
    rules = [
        ScoreRule(tag="ransomware", rating=5),
        ScoreRule(tag="c2", rating=4, confidence=95),
        ScoreRule(type="Address", rating=1, confidence=10),
    ]
    assert scores(score(feed, rules, now=NOW)) == {
        "a.example.com": (5, 80),
        "b.example.com": (5, 95),
        "198.51.100.7": (4, 95),
        "198.51.100.8": (1, 10),
    }


def test_confidence_halves_with_every_half_life_since_it_was_last_seen(feed: Normalised) -> None:
    decayed = score(feed, decay=Decay(half_life=timedelta(days=30)), now=NOW)
    assert scores(decayed) == {
        "a.example.com": (None, 40),
        "b.example.com": (None, 40),
        "198.51.100.7": (None, 80),  # no date
        "198.51.100.8": (None, None),  # no confidence; and seen in the future
    }
    assert decayed.indicators.schema == feed.indicators.schema


def test_decay_stops_at_its_floor_and_raises_nothing(feed: Normalised) -> None:
    later = NOW + timedelta(days=3650)
    assert scores(score(feed, decay=Decay(half_life=timedelta(days=1), floor=15), now=later))["a.example.com"][1] == 15
    low = score(feed, [ScoreRule(type="Host", confidence=5)], Decay(half_life=timedelta(days=1), floor=15), now=later)
    assert scores(low)["a.example.com"][1] == 5


def test_without_rules_nothing_changes(feed: Normalised) -> None:
    assert score(feed, now=NOW) is feed


@given(days=st.integers(0, 4000), half_life=st.integers(1, 400), floor=st.integers(0, 80))
def test_decay_never_raises_and_never_goes_below_the_floor(
    tmp_path_factory: pytest.TempPathFactory, days: int, half_life: int, floor: int
) -> None:
    path = tmp_path_factory.mktemp("feed") / "feed.csv"
    path.write_text(FEED)
    result = normalise(open_feed(path), owner="Mine")
    decay = Decay(half_life=timedelta(days=half_life), floor=floor)
    sooner, later = (scores(score(result, decay=decay, now=NOW + timedelta(days=n))) for n in (days, days + 1))
    for summary, (_, confidence) in scores(result).items():
        if confidence is not None:
            assert floor <= later[summary][1] <= sooner[summary][1] <= confidence


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: ScoreRule(rating=5),
        lambda: ScoreRule(tag="x"),
        lambda: ScoreRule(tag="x", rating=6),
        lambda: ScoreRule(tag="x", confidence=101),
        lambda: Decay(half_life=timedelta()),
        lambda: Decay(half_life=timedelta(days=1), floor=101),
    ],
)
def test_rules_that_make_no_sense_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        wrong()
