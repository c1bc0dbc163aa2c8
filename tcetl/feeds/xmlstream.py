"""XML documents element by element, without document types, entities or network."""

import codecs
from collections.abc import Iterator
from typing import Any, Final

from lxml import etree

from tcetl.errors import FeedError
from tcetl.feeds.source import Source

Element = Any
"""An lxml element; lxml's stubs know too little of parsing in pieces."""

_BOMS: Final = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LARGEST: Final = 64 << 20
"""Bytes between the ends of two elements that are asked for: what has to be held in memory at once."""


def elements(source: Source, *names: str) -> Iterator[Element]:
    """Yield the outermost elements called one of *names*, in any namespace, and forget each when the next is asked for.

    Raises:
        FeedError: the document is not well-formed, has a document type (which could define entities), or is nested or
            grows beyond what any feed needs.
    """
    parser = _parser(source, "start", "end", tag=tuple(f"{{*}}{name}" for name in names))
    outermost: Element = None
    begun, size = False, 0
    try:
        for piece in source.pieces():
            parser.feed(piece)
            size += len(piece)
            for event, element in parser.read_events():
                if not begun:
                    _refuse_document_type(element, source)
                    begun = True
                if event == "start" and outermost is None:
                    outermost = element
                elif event == "end" and element is outermost:
                    yield element
                    outermost, size = None, 0
                    element.clear()
                    while (earlier := element.getprevious()) is not None and local(earlier) in names:
                        element.getparent().remove(earlier)
            if size > _LARGEST:
                raise FeedError(
                    f"feed file {source.location} has a part of more than {_LARGEST >> 20} MiB",
                    hint="split it into several documents",
                )
        parser.close()
    except etree.XMLSyntaxError as error:
        raise FeedError(
            f"feed file {source.location} is no well-formed XML: {error.msg}", hint="fetch it again"
        ) from None


def root(source: Source) -> str | None:
    """Return the namespace and name of the document's root, as ``{namespace}name``, if the head of *source* has one."""
    if not source.text.lstrip().startswith(b"<"):
        return None
    parser = _parser(source, "start")
    try:
        parser.feed(source.text[:65536])
    except etree.XMLSyntaxError:
        return None
    _, element = next(parser.read_events(), (None, None))
    return None if element is None else str(element.tag)


def local(element: Element) -> str:
    """Return an element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def text(element: Element | None) -> str:
    """Return all text in *element*, without outer blanks; nothing for None."""
    return "" if element is None else "".join(element.itertext()).strip()


def child(element: Element | None, *path: str) -> Element | None:
    """Return the first element down *path*, by names in any namespace."""
    for name in path:
        element = None if element is None else next((one for one in element if local(one) == name), None)
    return element


def _parser(source: Source, *events: Any, tag: Any = None) -> Any:
    return etree.XMLPullParser(
        events,
        tag=tag,
        # What has a byte order mark comes as UTF-8, whatever the document declares.
        encoding="utf-8" if source.head.startswith(_BOMS) else None,
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


def _refuse_document_type(element: Element, source: Source) -> None:
    if element.getroottree().docinfo.internalDTD is not None:
        raise FeedError(
            f"feed file {source.location} has a document type, which could define entities",
            hint="no feed needs one: take the <!DOCTYPE …> out if you trust it",
        )
