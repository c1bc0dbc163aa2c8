"""OpenIOC definitions (1.0 and 1.1) as findings.

Source: the OpenIOC schemas of Mandiant (schemas.mandiant.com/2010/ioc) and FireEye (OpenIOC_1.1), and Mandiant's list
of search terms. A definition is a tree of ``AND`` and ``OR`` over comparisons of a term with a content.
"""

from collections.abc import Iterator
from typing import Final

from tcetl.feeds.standards import condition
from tcetl.feeds.standards.condition import VALUE_NAME, VALUE_TYPE, Comparison, Group, Node, TooLargeError
from tcetl.feeds.standards.finding import Finding, Placed, Refusal, describe, moment, tag_cell
from tcetl.feeds.xmlstream import Element, child, local, text

_BY_SHAPE: Final = ""  # terms under which tools write addresses, hosts and URLs alike
_TERMS: Final[dict[str, str]] = {
    "fileitem/md5sum": "md5",
    "fileitem/sha1sum": "sha1",
    "fileitem/sha256sum": "sha256",
    "driveritem/md5sum": "md5",
    "driveritem/sha1sum": "sha1",
    "driveritem/sha256sum": "sha256",
    "serviceitem/pathmd5sum": "md5",
    "serviceitem/pathsha1sum": "sha1",
    "serviceitem/pathsha256sum": "sha256",
    "serviceitem/servicedllmd5sum": "md5",
    "serviceitem/servicedllsha1sum": "sha1",
    "serviceitem/servicedllsha256sum": "sha256",
    "processitem/sectionlist/memorysection/md5sum": "md5",
    "processitem/sectionlist/memorysection/sha1sum": "sha1",
    "processitem/sectionlist/memorysection/sha256sum": "sha256",
    "network/dns": _BY_SHAPE,
    "network/uri": _BY_SHAPE,
    "portitem/remoteip": _BY_SHAPE,
    "dnsentryitem/host": _BY_SHAPE,
    "dnsentryitem/recordname": _BY_SHAPE,
    "dnsentryitem/recorddata/host": _BY_SHAPE,
    "dnsentryitem/recorddata/ipv4address": _BY_SHAPE,
    "urlhistoryitem/hostname": _BY_SHAPE,
    "urlhistoryitem/url": _BY_SHAPE,
    "filedownloadhistoryitem/sourceurl": _BY_SHAPE,
    "formhistoryitem/url": _BY_SHAPE,
    "email/from": "EmailAddress",
    "email/subject": "Email Subject",
    "network/useragent": "User Agent",
    "registryitem/path": "Registry Key",
    "registryitem/keypath": "Registry Key",
    "registryitem/valuename": VALUE_NAME,
    "registryitem/type": VALUE_TYPE,
}
_WHOLE: Final = frozenset({"md5", "sha1", "sha256", _BY_SHAPE})
"""Kinds of which "contains" names a whole value: it is what tools write for want of another word."""

_LONGEST_TEXT: Final = 1000


def findings(ioc: Element) -> Iterator[Placed]:
    """Yield what a definition says to look for; the pointer is an item's id, the row the line it begins on."""
    metadata = child(ioc, "metadata")
    about = ioc if metadata is None else metadata
    said = {
        "source": text(child(about, "authored_by")),
        "first_seen": moment(text(child(about, "authored_date"))),
        "tags": tag_cell(text(link) for links in about if local(links) == "links" for link in links),
    }
    name = text(child(about, "short_description"))
    criteria = child(ioc, "criteria")
    node = _node(child(ioc, "definition") if criteria is None else criteria, 0)
    try:
        for item, written in condition.findings(node):
            if isinstance(item, Finding):
                whole: Finding | Refusal = item._replace(description=describe(name, item.description), **said)
            else:
                whole = item
            yield Placed(whole, written[0].line, written[0].pointer)
    except TooLargeError as error:
        reason = f"the definition is too large: {error}"
        yield Placed(Refusal(name, "pattern-too-large", reason, severity="error"), ioc.sourceline, ioc.get("id"))


def _node(element: Element | None, observation: int) -> Node:
    """Return the tree under *element*, whose alternatives are the ``Indicator`` elements in it, or the item itself."""
    if element is not None and local(element) == "IndicatorItem":
        return _comparison(element, observation)
    members = () if element is None else tuple(
        _node(one, element.sourceline) for one in element if local(one) in ("Indicator", "IndicatorItem")
    )  # fmt: skip
    operator = (element.get("operator") or "OR").strip().upper() if element is not None else "OR"
    return Group(operator, members, f" {operator} ".join(one.text for one in members)[:_LONGEST_TEXT])


def _comparison(item: Element, observation: int) -> Comparison:
    context = child(item, "Context")
    term = "" if context is None else (context.get("search") or "").strip()
    word = (item.get("condition") or "is").strip()
    value = text(child(item, "Content"))
    negated = item.get("negate") == "true" or word.endswith("not")
    kind = _TERMS.get(term.lower())
    named = word.removesuffix("not")
    return Comparison(
        term or "an item without a search term",
        kind,
        "=" if named == "is" or (named == "contains" and kind in _WHOLE) else named,
        value,
        f"{'NOT ' if negated else ''}{term} {word} '{value}'"[:_LONGEST_TEXT],
        negated,
        observation,
        item.sourceline or 0,
        item.get("id") or "",
    )
