"""``tcetl feed list``, ``show`` and ``formats``: which feeds there are, and what tcetl can read."""

from typing import Annotated

import typer

from tcetl.cli.console import Json, print_facts, print_json, print_table
from tcetl.cli.options import Feed, examples

app = typer.Typer()


@app.command(name="list", **examples("tcetl feed list", "tcetl feed list phishing"))
def list_feeds(
    word: Annotated[str, typer.Argument(help="Only feeds that mention this.", metavar="WORD")] = "",
    *,
    json: Json = False,
) -> None:
    """List the feeds that come with tcetl."""
    import msgspec

    from tcetl.catalogue import find, names

    feeds = [feed for feed in map(find, names()) if word.lower() in _said(feed).lower()]
    if json:
        print_json(msgspec.to_builtins(feeds))
        return
    rows = [(feed.name, feed.every, "needs a key" if feed.secret else "", feed.title) for feed in feeds]
    print_table(f"{len(feeds)} feeds", ("name", "every", "", "what it is"), rows)


@app.command(**examples("tcetl feed show urlhaus-recent", "tcetl feed show my-feeds/partner.toml --json"))
def show(feed: Feed, *, json: Json = False) -> None:
    """Show what FEED is, how it is read, what its indicators get, and what one may do with it."""
    import msgspec

    from tcetl.catalogue import find

    definition = find(feed)
    if json:
        print_json(msgspec.to_builtins(definition))
        return
    secret = definition.secret
    fewest, most = definition.expect.rows
    print_facts(
        definition.title,
        {
            "name": definition.name,
            "provider": definition.provider,
            "homepage": definition.homepage,
            "licence": definition.licence,
            "url": definition.url,
            "key": f"in {secret.env}; from {secret.signup}" if secret else "none needed",
            "fetch at most": f"every {definition.every}",
            "format": definition.format,
            "columns": "; ".join(f"{role}: {_listed(column)}" for role, column in definition.columns.items())
            or "by name",
            "groups": "; ".join(f"{role}: {_listed(column)}" for role, column in definition.group.items()) or None,
            "rating": definition.defaults.rating,
            "confidence": definition.defaults.confidence,
            "tags": ", ".join(definition.defaults.tags),
            "security labels": ", ".join(definition.security_labels) or None,
            "allow-lists": ", ".join(f"{one.list} ({one.action})" for one in definition.allow) or None,
            "scores": len(definition.scores) or None,
            "confidence halves": f"every {definition.decay.half_life}" if definition.decay else None,
            "rows usually": f"{fewest:,} to {most:,}",
        },
    )


@app.command(**examples("tcetl feed formats"))
def formats(*, json: Json = False) -> None:
    """List the formats that feeds can be in, with the options that each takes."""
    from tcetl.feeds import FORMATS

    known = [(one.name, one.title, ", ".join(one.options)) for one in FORMATS.values()]
    if json:
        print_json([dict(zip(("name", "title", "options"), row, strict=True)) for row in known])
        return
    print_table(
        f"{len(known)} formats; packed ones (.gz .bz2 .xz .zst .zip) too", ("name", "what it is", "options"), known
    )


def _said(feed: "object") -> str:
    return " ".join(str(getattr(feed, name)) for name in ("name", "title", "provider", "defaults"))


def _listed(columns: object) -> str:
    return ", ".join(map(str, columns)) if isinstance(columns, list | tuple) else str(columns)
