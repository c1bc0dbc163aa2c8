"""The feeds that come with tcetl, definitions of the user's own, and drift."""

from pathlib import Path

import pytest

from tcetl.catalogue import Alarm, DriftError, FeedDefinition, find, names, read_definition
from tcetl.catalogue.drift import examine_columns, examine_rows, refuse
from tcetl.errors import FeedError
from tcetl.feeds import FORMATS

MINE = """
title = "Mine"
provider = "Me"
homepage = "https://example.com"
licence = "CC0-1.0"
url = "https://example.com/feed.csv"
every = "1h"
format = "csv"

[columns]
value = "url"
tags = "labels"

[defaults]
tags = ["mine"]

[expect]
rows = [10, 100]
columns = ["url", "labels", "brand"]
"""


def define(tmp_path: Path, text: str = MINE) -> FeedDefinition:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return read_definition(path)


@pytest.mark.parametrize("name", names())
def test_every_feed_that_comes_along_is_whole(name: str) -> None:
    feed = find(name)
    assert feed.name == name
    assert {*feed.options} <= {*FORMATS[feed.format].options}
    assert feed.url.startswith(("https://", "http://vxvault.net/"))
    assert feed.licence
    assert feed.homepage.startswith("http")
    assert feed.interval.total_seconds() >= 300
    assert feed.expect.rows[1] > feed.expect.rows[0]
    assert feed.defaults.tags, "an indicator must show which feed it came from"
    if feed.columns and feed.expect.columns:
        assert feed.column_map is not None
        assert feed.column_map.used() <= {*feed.expect.columns, *feed.made}


def test_there_are_enough() -> None:
    assert len(names()) >= 30


def test_a_file_of_the_users_is_found_by_its_path(tmp_path: Path) -> None:
    define(tmp_path)
    assert find(str(tmp_path / "mine.toml")).name == "mine"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("title =", "titel ="), "titel"),
        (('tags = "labels"', 'tag = "labels"'), "tag"),
        (('every = "1h"', 'every = "hourly"'), "hourly"),
        (("rows = [10, 100]", "rows = [100, 10]"), "100"),
        (("rows = [10, 100]", 'rows = "many"'), "rows"),
        (("[defaults]", "[default]"), "default"),
        (('tags = ["mine"]', "rating = 6"), "rating"),
        (("[defaults]", '[[scores]]\ntag = "x"\nratin = 5\n[defaults]'), "ratin"),
        (("[defaults]", '[decay]\nhalf_life = "soon"\n[defaults]'), "soon"),
        (("[defaults]", '[group]\ntype = "Report"\nname = "url"\n[defaults]'), "group"),
        (("feed.csv", "feed.csv?key={secret}"), "secret"),
        (('provider = "Me"\n', ""), "provider"),
        (("title", "title ="), "TOML"),
    ],
)
def test_a_definition_with_a_mistake_is_refused_by_name(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    with pytest.raises(FeedError, match=r"mine\.toml") as caught:
        define(tmp_path, MINE.replace(*change, 1))
    assert says in str(caught.value)


def test_an_unknown_name_says_where_to_look() -> None:
    with pytest.raises(FeedError, match="tcetl feed list"):
        find("no-such-feed")
    with pytest.raises(FeedError, match="does not exist"):
        find("no-such-file.toml")


COLUMNS = ["url", "labels", "brand"]


def examine(
    definition: FeedDefinition, columns: list[str], rows: int, *, declared: int | None = None, last: int | None = None
) -> list[Alarm]:
    return examine_columns(definition, columns) + examine_rows(definition, rows, declared=declared, last=last)


def kinds(alarms: list[Alarm]) -> list[str]:
    return [alarm.kind for alarm in alarms]


def test_a_feed_as_expected_raises_no_alarm(tmp_path: Path) -> None:
    assert examine(define(tmp_path), COLUMNS, 50, declared=50, last=60) == []


@pytest.mark.parametrize(
    ("columns", "rows", "declared", "last", "kind"),
    [
        (["url", "brand"], 50, None, None, "missing_column"),
        ([*COLUMNS, "severity"], 50, None, None, "new_column"),
        (COLUMNS, 50, 51, None, "count"),
        (COLUMNS, 9, None, None, "volume"),
        (COLUMNS, 101, None, None, "volume"),
        (COLUMNS, 20, None, 41, "volume"),
    ],
)
def test_each_kind_of_drift_raises_its_alarm(
    tmp_path: Path, *, columns: list[str], rows: int, declared: int | None, last: int | None, kind: str
) -> None:
    definition = define(tmp_path)
    alarms = examine(definition, columns, rows, declared=declared, last=last)
    assert kinds(alarms) == [kind]
    if alarms[0].reaction == "fail":
        with pytest.raises(DriftError, match="mine has drifted"):
            refuse(definition, alarms)
    else:
        refuse(definition, alarms)


def test_what_an_alarm_does_is_the_users_choice(tmp_path: Path) -> None:
    strict = define(tmp_path, MINE + '[alarms]\nvolume = "fail"\nnew_column = "ignore"\n')
    alarms = examine(strict, [*COLUMNS, "severity"], 5)
    assert kinds(alarms) == ["volume"]
    with pytest.raises(DriftError, match='volume = "warn"'):
        refuse(strict, alarms)


def test_a_dropped_key_column_names_itself(tmp_path: Path) -> None:
    definition = define(tmp_path)
    with pytest.raises(DriftError, match="'url' is gone"):
        refuse(definition, examine(definition, ["labels", "brand"], 50))
