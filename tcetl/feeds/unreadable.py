"""Files of kinds that no reader reads, told by their first bytes whatever they are called, and what to do about each.

Source: the formats' own descriptions: 7-Zip's 7zFormat.txt, RAR 5.0 and 4, POSIX ustar, MS-CFB (compound files).
"""

from collections.abc import Collection
from typing import Final

from tcetl.errors import FeedError

_UNPACK: Final = "unpack it and give the file, or a pattern of the files; a ZIP can be read as it is"
_SAVE: Final = "open it and save it as .xlsx or as CSV"
_TEXT: Final = "copy its text or its tables into a text file: format report finds the indicators"
_PROGRAM: Final = "is this the feed, and not a sample of malware?"
_SIGNS: Final = (
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive (.7z)", _UNPACK),
    (0, b"Rar!\x1a\x07", "a RAR archive (.rar)", _UNPACK),
    (257, b"ustar\x00", "a tar archive (.tar)", _UNPACK),
    (257, b"ustar  \x00", "a tar archive (.tar)", _UNPACK),
    (0, b"MSCF\x00", "a cabinet archive (.cab)", _UNPACK),
    (0, b"\x1f\x9d", "packed by compress (.Z)", _UNPACK),
    (0, b"\x04\x22\x4d\x18", "packed by LZ4 (.lz4)", _UNPACK),
    (0, b"LZIP\x01", "packed by lzip (.lz)", _UNPACK),
    (0, b"%PDF-", "a PDF document", _TEXT),
    (0, b"{\\rtf", "an RTF document", _TEXT),
    (0, b"SQLite format 3\x00", "an SQLite database", "export the table as CSV"),
    (0, b"\x7fELF", "a Linux program", _PROGRAM),
)
_PROGRAMS_MARK: Final = b"MZ"  # which a text can begin with as well
_COMPOUND: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_STREAMS: Final = (  # what the directory of a compound file names
    ("Workbook", "an old Excel workbook (.xls)", _SAVE),
    ("Book", "an old Excel workbook (.xls)", _SAVE),
    ("EncryptedPackage", "an Office document with a password", "save it without one"),
    ("WordDocument", "an old Word document (.doc)", _TEXT),
    ("PowerPoint Document", "an old PowerPoint document (.ppt)", _TEXT),
    ("__properties_version1.0", "an Outlook message (.msg)", _TEXT),
)


_DOCUMENTS: Final = (  # by the files that they consist of, as the ZIP archives that they are
    (frozenset({"mimetype", "content.xml", "META-INF/manifest.xml"}), "an OpenDocument file (.ods, .odt)", _SAVE),
    (frozenset({"xl/workbook.bin"}), "a binary Excel workbook (.xlsb)", _SAVE),
    (frozenset({"word/document.xml"}), "a Word document (.docx)", _TEXT),
    (frozenset({"ppt/presentation.xml"}), "a PowerPoint document (.pptx)", _TEXT),
)


def refuse_unreadable(head: bytes, location: str) -> None:
    """Raise FeedError where the file at *location*, whose unpacked bytes begin with *head*, is of such a kind."""
    if found := _unreadable(head):
        kind, hint = found
        raise FeedError(f"feed file {location} is {kind}, which tcetl does not read", hint=hint)


def refuse_document(names: Collection[str], location: str) -> None:
    """Raise FeedError where the archive at *location*, with files called *names*, is a document of such a kind."""
    for parts, kind, hint in _DOCUMENTS:
        if parts <= set(names):
            raise FeedError(f"feed file {location} is {kind}, which tcetl does not read", hint=hint)


def _unreadable(head: bytes) -> tuple[str, str] | None:
    for at, sign, kind, hint in _SIGNS:
        if head.startswith(sign, at):
            return kind, hint
    if head.startswith(_PROGRAMS_MARK) and b"\x00" in head[:64]:
        return "a Windows program", _PROGRAM
    return _compound(head) if head.startswith(_COMPOUND) else None


def _compound(head: bytes) -> tuple[str, str]:
    """Tell compound files apart by the first sector of their directory, if that is within *head*."""
    size = 1 << min(int.from_bytes(head[30:32], "little"), 16)
    at = (int.from_bytes(head[48:52], "little") + 1) * size
    directory = head[at : at + size]
    for name, kind, hint in _STREAMS:
        if f"{name}\0".encode("utf-16-le") in directory:
            return kind, hint
    return "an old Office document (.xls, .doc, .ppt or .msg)", _SAVE
