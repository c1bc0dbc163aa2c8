"""Undo what analysts do to make an indicator harmless, and drop characters that cannot be seen."""

import re
from typing import Final

# Soft hyphen, zero-width and directional marks, byte order mark, variation selectors: invisible, so never meant.
_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
# The brackets are the mark of defanging; a bare "dot" or "at" may be a word of the value.
_REWRITES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (r"\s{0,3}[\[({<]+\s{0,3}(?:\.|dot|d0t)\s{0,3}[\])}>]+\s{0,3}", "."),
        (r"\s{0,3}[\[({<]+\s{0,3}(?:@|at)\s{0,3}[\])}>]+\s{0,3}", "@"),
        (r"[\[({]:[\])}]", ":"),
        (r"[\[({]:?//[\])}]", "://"),
        (r"[\[({]/[\])}]", "/"),
        (r"(?<=\w)[\[({]\.(?=\w)", "."),  # half a pair: example[.com
        (r"(?<=\w)\.[\])}](?=\w)", "."),
        (r"(?<=[\w-])\\\.(?=\w)", "."),
        (r"^h(?:xx|tx|xt|\*\*|__)p(s?)(?=:|\\\\|__)", r"http\1"),
        (r"^fxp(s?)(?=:)", r"ftp\1"),
        (r"^((?:https?|ftp):)\\\\", r"\1//"),
        (r"^(https?|ftp)(?:__|:///+)(?=[\w\[])", r"\1://"),
    )
)
_MOST_PASSES: Final = 20  # one rewriting may bare another; what is wrapped deeper than this was made to waste time
_WRAPPERS: Final = (("<", ">"), ('"', '"'), ("'", "'"), ("`", "`"), ("“", "”"))


def refang(value: str) -> str:
    """Return *value* as it was before defanging, without invisible characters, outer blanks and quotes.

    Meant for addresses, hosts, URLs, e-mail addresses and hashes; free text (a mutex, a user agent) stays as it is.
    Idempotent.
    """
    text = value
    for _ in range(_MOST_PASSES):
        before = text
        text = _INVISIBLE.sub("", text).strip()
        for opening, closing in _WRAPPERS:
            if len(text) > 1 and text.startswith(opening) and text.endswith(closing):
                text = text[1:-1]
        for pattern, replacement in _REWRITES:
            text = pattern.sub(replacement, text)
        if text == before:
            return text
    return value
