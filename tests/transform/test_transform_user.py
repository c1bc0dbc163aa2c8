"""Users' pandas transforms: on the feed's rows, on the indicators, and every way in which one can be wrong."""

import json
import subprocess
import sys

import pandas as pd
import pytest

from tcetl.catalogue.definition import read_definition
from tcetl.errors import TransformError
from tcetl.feeds import open_feed
from tcetl.pipeline import plan_feed
from tcetl.transform import ColumnMap, Transform, normalise, transform, transform_indicators
from tcetl.transform.user import as_transform, load_transform

TEXT = (
    "url,family,hits\n"
    "http://a.example/,Lockbit,3\nhttp://b.example/,,900\nhxxp://a[.]example/,Mozi,7\nnot one,,1\nhttp://c.example/,Mozi,5\n"
)


def run(folder, *transforms, text=TEXT, columns=None, **options):
    path = folder / "feed.csv"
    path.write_text(text)
    known = [as_transform(one) for one in transforms]
    rows = [one for one in known if one.on == "feed"]
    result = normalise(open_feed(path), owner="O", transforms=rows, columns=columns, **options)
    result = transform_indicators(result, [one for one in known if one.on == "indicators"])
    for table in (result.indicators, result.rejects):
        table.validate(full=True)
    assert result.counts.rows_read == result.indicators.num_rows + result.rejects.num_rows
    return result


def said(result, *names):
    return [tuple(one[name] for name in names) for one in result.indicators.to_pylist()]


@transform
def by_family(df):
    """As a user writes one: the feed's own columns in, names of INDICATORS out."""
    df["confidence"] = df["hits"].astype(int).clip(upper=100)
    df["tags"] = [["mine", family] if family else [] for family in df["family"]]
    df["description"] = "seen " + df["hits"]
    return df


@transform(on="indicators", columns=["type", "tags", "rating"])
def rate_mozi(df):
    df["rating"] = df["tags"].map(lambda tags: 4.0 if "Mozi" in tags else 1.0)
    df["tags"] = df["tags"].map(lambda tags: [*tags, "rated", "rated"])
    return df


def test_added_columns_are_what_their_names_say(tmp_path):
    result = run(tmp_path, by_family)
    assert said(result, "summary", "confidence", "description") == [
        ("http://a.example/", 7, "seen 3"), ("http://b.example/", 100, "seen 900"), ("http://c.example/", 5, "seen 5"),
    ]  # fmt: skip
    assert [[tag["name"] for tag in tags] for tags in result.indicators["tags"].to_pylist()] == [
        ["Lockbit", "Mozi", "mine"], [], ["Mozi", "mine"],
    ]  # fmt: skip
    assert result.columns.confidence == "confidence"


def test_transforms_are_ordinary_functions_to_their_tests():
    df = by_family(pd.DataFrame({"url": ["x"], "family": ["Mozi"], "hits": ["3"]}))
    assert df.loc[0, ["confidence", "description"]].tolist() == [3, "seen 3"]
    assert by_family.__doc__.startswith("As a user")


def test_both_hooks_in_a_chain(tmp_path):
    result = run(tmp_path, rate_mozi, by_family)
    assert said(result, "rating") == [(4.0,), (1.0,), (4.0,)]
    tags = [[tag["name"] for tag in tags] for tags in result.indicators["tags"].to_pylist()]
    assert tags == [["Lockbit", "Mozi", "mine", "rated"], ["rated"], ["Mozi", "mine", "rated"]]
    assert result.indicators["attributes"].to_pylist() == [[], [], []]


def test_changed_values_are_settled_afterwards(tmp_path):
    def mend(df):
        df["url"] = df["url"].str.replace("not one", "http://d.example/")
        return df.sort_values("url", ascending=False)

    result = run(tmp_path, mend)
    assert ("http://d.example/", 5) in [(s, o["row"]) for s, o in said(result, "summary", "origin")]
    assert result.counts.rejected == {}


def test_a_summary_and_a_type_can_be_made(tmp_path):
    def host(df):
        return df.assign(summary=df["url"].str.extract(r"//([^/]+)")[0].fillna("x.example"), type="Host")

    result = run(tmp_path, host)
    assert said(result, "type", "summary") == [("Host", f"{name}.example") for name in "abcx"]


def test_dropped_rows_are_rejects_with_their_origin(tmp_path):
    def popular(df):
        return df[df["hits"].astype(int) < 100]

    @transform(on="indicators")
    def no_c(df):
        return df[~df["summary"].str.contains("c.example")]

    result = run(tmp_path, popular, no_c)
    rejects = [r for r in result.rejects.to_pylist() if r["code"] == "dropped-by-transform"]
    assert [(r["row"], r["raw"], r["severity"], r["stage"], r["file"]) for r in rejects] == [
        (3, "http://b.example/", "info", "normalise", str(tmp_path / "feed.csv")),
        (6, "http://c.example/", "info", "normalise", str(tmp_path / "feed.csv")),
    ]  # fmt: skip
    assert "popular' dropped it" in rejects[0]["reason"]
    assert (rejects[1]["type"], rejects[1]["summary"]) == ("URL", "http://c.example/")
    assert result.counts.rejected == {"dropped-by-transform": 2, "not-an-indicator": 1}
    assert result.counts.indicators == {"URL": 1}


def test_a_dropped_file_takes_its_occurrences_along(tmp_path):
    digest = "d41d8cd98f00b204e9800998ecf8427e"
    drop = transform(on="indicators")(lambda df: df[df["md5"] != digest])
    text = f"hash,name\n{digest},a.exe\n{digest[::-1]},b.exe\n"
    result = run(tmp_path, drop, text=text, columns=ColumnMap(value="hash", file_name="name"))
    assert result.occurrences["file_name"].to_pylist() == ["b.exe"]


def test_merging_in_other_data(tmp_path):
    known = pd.DataFrame({"family": ["Lockbit", "Mozi"], "rating": [5.0, 2.0]})

    def enrich(df):
        merged = df.merge(known, on="family", how="left")
        merged.index = df.index
        return merged

    assert said(run(tmp_path, enrich), "rating") == [(5.0,), (None,), (2.0,)]


@transform(columns=["hits"])
def sees_hits_only(df):
    assert list(df.columns) == ["hits"]
    return df.assign(confidence=df["hits"].astype("int64") // 10)


def test_only_the_declared_columns_are_seen_and_the_others_stay(tmp_path):
    assert said(run(tmp_path, sees_hits_only), "confidence") == [(0,), (90,), (0,)]


def test_types_that_functions_see(tmp_path):
    seen = {}

    @transform(on="indicators")
    def look(df):
        seen.update(df.dtypes.astype(str))
        return df

    before = run(tmp_path, by_family).indicators
    assert run(tmp_path, by_family, look).indicators.equals(before)
    assert seen["tags"] == "list<item: string>[pyarrow]"
    assert "struct" in seen["attributes"]
    assert (seen["rating"], seen["first_seen"]) == ("float64", "datetime64[us, UTC]")


def wrong(function, on="feed"):
    return Transform(function, on)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (wrong(lambda df: None), r"returned nothing, not a DataFrame, in batch 1 \(rows 2 to 6 of .*feed.csv\)"),
        (wrong(lambda df: df["url"]), "returned a Series, not a DataFrame"),
        (wrong(lambda df: df.drop(columns="hits")), "returned no column 'hits'"),
        (wrong(lambda df: df["nothing"]), "raised KeyError: 'nothing'"),
        (wrong(lambda df: df.reset_index(drop=True)), "returned a row without origin, number 1"),
        (wrong(lambda df: pd.concat([df, df.head(1)])), "returned row 2 more than once"),
        (wrong(lambda df: pd.concat([df, df.head(1)], ignore_index=True)), "returned a row without origin, number 1"),
        (wrong(lambda df: df.set_axis([str(i) for i in range(5)])), "returned a row without origin"),
        (wrong(lambda df: df.assign(confidence=df["hits"].where(df["hits"] != "7", "many"))),
         "returned 'many' as 'confidence' of row 4.*it must be int32"),
        (wrong(lambda df: df.assign(confidence=df["hits"].astype(int))),
         "returned 900 as 'confidence' of row 3.*0 to 100"),
        (wrong(lambda df: df.assign(rating=-1.0)), "returned -1.0 as 'rating' of row 2"),
        (wrong(lambda df: df.assign(description=[1, "a", "b", "c", "d"])), "returned 1 as 'description' of row 2"),
        (wrong(lambda df: df.assign(url=[["x"]] * 5)), r"returned \['x'\] as 'url' of row 2"),
        (wrong(lambda df: df.assign(_row=1)), "returned a column '_row'"),
        (wrong(lambda df: df.rename(columns={"hits": 3}).assign(hits=1)), "returned a column called 3"),
        (wrong(lambda df: df, "indicators"), None),
        (wrong(lambda df: df.assign(summary="x"), "indicators"), "changed 'summary' of row 2"),
        (wrong(lambda df: df.assign(colour="x"), "indicators"), "returned a column 'colour'.*indicators have: type"),
        (wrong(lambda df: df.assign(confidence=101), "indicators"), "returned 101 as 'confidence' of row 2"),
        (wrong(lambda df: df.assign(confidence="high"), "indicators"), "returned 'high' as 'confidence' of row 2"),
        (wrong(lambda df: df.assign(tags=None), "indicators"), "returned nothing as 'tags' of row 2.*empty list"),
        (wrong(lambda df: df.assign(tags="x"), "indicators"), "returned 'x' as 'tags' of row 2"),
        (wrong(lambda df: df.drop(columns="tags"), "indicators"), "returned no column 'tags'"),
        (Transform(lambda df: df, columns=("nothing",)), "needs the column 'nothing'.*there are: url, family, hits"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_a_clear_error(tmp_path, bad, message):
    if message is None:
        run(tmp_path, bad)
        return
    with pytest.raises(TransformError, match=f"transform '.*lambda.*' {message}") as caught:
        run(tmp_path, bad)
    assert caught.value.hint


def test_other_columns_in_a_later_batch(tmp_path, monkeypatch):
    from tcetl.feeds.source import Source

    whole = Source.blocks
    monkeypatch.setattr(Source, "blocks", lambda self: whole(self, 40))
    calls = []

    def moody(df):
        calls.append(len(df))
        return df.assign(rating=1.0) if len(calls) == 1 else df

    with pytest.raises(TransformError, match=r"other columns of batch 2 .* than before: rating"):
        run(tmp_path, moody)


def test_by_name_from_a_module_and_a_file(tmp_path, monkeypatch):
    (tmp_path / "my_rules.py").write_text(
        "from tcetl.transform import transform\n\n@transform\ndef double(df):\n"
        "    return df.assign(rating=2.0)\n\ndef plain(df):\n    return df.assign(confidence=9)\n"
    )
    monkeypatch.chdir(tmp_path)
    result = run(tmp_path, "my_rules:double", f"{tmp_path}/my_rules.py:plain")
    assert said(result, "rating", "confidence") == [(2.0, 9)] * 3
    chunk = plan_feed(tmp_path / "feed.csv", "O", tmp_path / "run", transforms=["my_rules:double"]).path
    assert json.loads((chunk / "chunks/00000.json").read_bytes())["indicator"][0]["rating"] == 2
    for name, message in [
        ("my_rules:missing", "has no function 'missing'"),
        ("no_such_module_here:f", "cannot be imported: ModuleNotFoundError"),
        ("missing.py:f", "cannot be imported: FileNotFoundError"),
        ("nonsense", "names no transform"),
    ]:
        with pytest.raises(TransformError, match=message):
            load_transform(name)
    with pytest.raises(TransformError, match="3 is no transform"):
        run(tmp_path, 3)
    with pytest.raises(ValueError, match="on is 'feed' or 'indicators'"):
        transform(on="end")


def test_a_feed_file_names_its_transforms_and_they_have_the_last_word(tmp_path):
    (tmp_path / "rules.py").write_text(
        "from tcetl.transform import transform\n\n@transform(on='indicators')\ndef raise_c(df):\n"
        "    df.loc[df['summary'].str.contains('c.example'), 'confidence'] = 99\n    return df\n"
    )
    (tmp_path / "feed.csv").write_text(TEXT)
    (tmp_path / "mine.toml").write_text(
        f'title = "Mine"\nprovider = "me"\nhomepage = ""\nlicence = ""\nurl = "{tmp_path}/feed.csv"\nevery = "1d"\n'
        'format = "csv"\ntransforms = ["rules.py:raise_c"]\n[expect]\nrows = [1, 9]\n'
        '[[scores]]\ntype = "URL"\nconfidence = 10\n'
    )
    run_ = plan_feed(read_definition(tmp_path / "mine.toml"), "O", tmp_path / "run", transforms=[sees_hits_only])
    [chunk] = (run_.path / "chunks").glob("*.json")
    assert [one["confidence"] for one in json.loads(chunk.read_bytes())["indicator"]] == [10, 10, 99]


def test_what_a_local_plan_does_not_need_is_not_imported(tmp_path):
    (tmp_path / "feed.csv").write_text(TEXT)
    code = (
        "import sys; from tcetl.pipeline import plan_feed; "
        f"plan_feed({str(tmp_path / 'feed.csv')!r}, 'O', {str(tmp_path / 'run')!r}); "
        "sys.exit(', '.join({'antlr4', 'fsspec', 'openpyxl', 'pandas', 'requests', 'urllib3'} & sys.modules.keys()))"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert ended.stderr.strip() == ""
