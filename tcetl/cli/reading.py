"""The options of every command that reads a feed, written once: how, what is left out, what the indicators get."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import typer

from tcetl.cli.options import option, takes

if TYPE_CHECKING:
    from tcetl.catalogue import FeedDefinition

_GETS: Final = "What the indicators get"
_LEAVES_OUT: Final = "What is left out"


@dataclass(frozen=True)
class FeedOptions:
    """What the options say of the feed: its format, its columns, the user's transforms, and what adjusts it."""

    format: str
    allow_private: bool
    transforms: list[str]
    columns: dict[str, Any]
    adjusts: dict[str, Any]

    def definition(self, feed: str) -> "FeedDefinition":
        """Return the feed that the user names, with what the options say of it."""
        from tcetl.catalogue import adjust, resolve

        return adjust(resolve(feed, self.format, allow_private=self.allow_private), **self.adjusts)


def _checked(name: str) -> Callable[[str], Any]:
    """A parser of an option's text: the function of that *name* in `tcetl.catalogue.adjusting`."""

    def parse(text: str) -> Any:
        from tcetl.catalogue import adjusting
        from tcetl.errors import FeedError

        try:
            return getattr(adjusting, name)(text)
        except FeedError as error:
            raise typer.BadParameter(str(error)) from None

    return parse


def _by_role(pairs: list[tuple[str, str]], also: list[tuple[str, str]]) -> dict[str, Any]:
    """Columns by role as `tcetl.transform.ColumnMap` has them."""
    columns: dict[str, Any] = {"also": dict(also)} if also else {}
    for role, column in pairs:
        if role in _SEVERAL:
            columns.setdefault(role, []).append(column)
        else:
            columns[role] = column
    return columns


_SEVERAL: Final = ("details", "hashes")
_HOW: Final = (
    option("format", str, "auto", help="The feed's format; auto looks at its content.", metavar="NAME"),
    option(
        "allow_private",
        bool,
        False,
        "--allow-private",
        help="Allow an address on your own network, not the public internet.",
    ),
    option(
        "transforms",
        list[str],
        [],
        "--transform",
        help="Your pandas function, module:function or file.py:function; repeat for more.",
        metavar="NAME",
    ),
)
_COLUMNS: Final = (
    option(
        "column",
        list[Any],
        [],
        "--column",
        help="What a column means, where its name does not say it: value=phishing_url, tags=campaign, value_type=URL. "
        "Repeat for more; docs/catalogue.md lists the roles.",
        metavar="ROLE=COLUMN",
        parser=_checked("column_role"),
    ),
    option(
        "also",
        list[Any],
        [],
        "--also",
        help="Take what this column holds as further indicators of each row, by their shape or of the type given. "
        "Repeat for more.",
        metavar="COLUMN[=TYPE]",
        parser=_checked("further"),
    ),
)
_ADJUSTING: Final = (  # by the keys of `tcetl.catalogue.Adjusting`
    option(
        "options",
        list[Any],
        [],
        "--option",
        help="An option of the format's reader, as tcetl feed formats lists them: records=/data/items. Repeat for "
        "more.",
        metavar="NAME=VALUE",
        parser=_checked("option"),
    ),
    option("member", str | None, None, help="The one file of an archive to read.", metavar="NAME"),
    option(
        "password_env",
        str | None,
        None,
        "--archive-password-env",
        help="The environment variable that holds the archive's password.",
        metavar="VARIABLE",
    ),
    option(
        "tags",
        list[str],
        [],
        "--tag",
        help="Tag for every indicator; repeat for more.",
        metavar="TAG",
        rich_help_panel=_GETS,
    ),
    option("rating", float | None, None, help="Rating for rows without one.", min=0, max=5, rich_help_panel=_GETS),
    option(
        "confidence",
        int | None,
        None,
        help="Confidence for rows without one.",
        min=0,
        max=100,
        rich_help_panel=_GETS,
    ),
    option(
        "tlp",
        str | None,
        None,
        help="Level of the Traffic Light Protocol for what brings no security label: clear, green, amber, "
        "amber+strict, red.",
        metavar="LEVEL",
        parser=_checked("tlp_label"),
        rich_help_panel=_GETS,
    ),
    option(
        "security_labels",
        list[str],
        [],
        "--security-label",
        help="Security label for what brings none; repeat for more.",
        metavar="NAME",
        rich_help_panel=_GETS,
    ),
    option(
        "scores",
        list[Any],
        [],
        "--score",
        help="Rating and confidence for what is tagged in some way or of some type: tag=c2,rating=5,confidence=90. "
        "Repeat for more; the first that fits decides.",
        metavar="RULE",
        parser=_checked("score_rule"),
        rich_help_panel=_GETS,
    ),
    option(
        "decay",
        Any,
        None,
        help="Confidence halves with every SPAN since an indicator was last (or else first) seen, down to FLOOR: 30d, "
        "or 30d,10.",
        metavar="SPAN[,FLOOR]",
        parser=_checked("fading"),
        rich_help_panel=_GETS,
    ),
    option(
        "allow",
        list[Any],
        [],
        "--allow-list",
        help="What is known to be harmless: a file (MISP's warninglist, or text), or 'reserved' for private and "
        "reserved addresses. Left out, unless =tag or =report follows; after =drop,urls-by-host URLs on listed "
        "hosts are too. Repeat for more.",
        metavar="LIST[=ACTION]",
        parser=_checked("allowed"),
        rich_help_panel=_LEAVES_OUT,
    ),
)


def reads_feed(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options to *command* and call it with what they say as ``options``, a `FeedOptions`."""

    @functools.wraps(command)
    def run(*given: Any, **arguments: Any) -> None:
        how = {option.name: arguments.pop(option.name) for option in _HOW}
        columns = _by_role(arguments.pop("column"), arguments.pop("also"))
        adjusts = {option.name: arguments.pop(option.name) for option in _ADJUSTING}
        if tlp := adjusts.pop("tlp"):
            adjusts["security_labels"] = [tlp, *adjusts["security_labels"]]
        adjusts["options"] = dict(adjusts["options"])
        command(*given, options=FeedOptions(**how, columns=columns, adjusts=adjusts), **arguments)

    return takes(run, command, "options", [*_HOW, *_COLUMNS, *_ADJUSTING])
