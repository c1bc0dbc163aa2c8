"""Undo what analysts do to make an indicator harmless, and drop characters that cannot be seen."""

import re
from typing import Final

# Soft hyphen, zero-width and directional marks, byte order mark: invisible, so never meant. Joiners and variation
# selectors mean something within words of some scripts, and a host name without them is another one: there they stay.
INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
    "|(?<![^\x00-\x7f])[\u200c\u200d\ufe00-\ufe0f]|[\u200c\u200d](?![^\x00-\x7f])"
)
"""What `refang` drops as it cannot be seen."""
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
        (r"^h(?:xx|tx|xt|tt|\*\*|__)p[\[({]s[\])}]", "hxxps"),
        (r"^(?:h(?:xx|tx|xt|\*\*|__)p|meow)(s?)(?=:|\\\\|__)", r"http\1"),
        (r"^fxp(s?)(?=:)", r"ftp\1"),
        (r"^((?:https?|ftp):)\\\\", r"\1//"),
        (r"^(https?|ftp)(?:__|:///+|://\s+)(?=[\w\[])", r"\1://"),
    )
)
# Letters and ASCII signs with none of the marks above: nothing to undo, as in most values.
_UNTOUCHED: Final = re.compile(
    r"(?:https?://(?=\w)|(?!h..p|meow|f.p))(?:[!#-&*+,\-./:;=?@^|~]|[^\W\u115f\u1160])*", re.IGNORECASE
)
_MOST_PASSES: Final = 20  # one rewriting may bare another; what is wrapped deeper than this was made to waste time
_SPOKEN: Final = {"dot": ".", "at": "@"}
_WRAPPERS: Final = (("<", ">"), ('"', '"'), ("'", "'"), ("`", "`"), ("“", "”"), ("«", "»"), ("[", "]"), ("(", ")"))


def refang(value: str) -> str:
    """Return *value* as it was before defanging, without invisible characters, outer blanks and quotes.

    Meant for addresses, hosts, URLs, e-mail addresses and hashes; free text (a mutex, a user agent) stays as it is.
    Idempotent.
    """
    usual = value.strip().replace("[.]", ".")
    if _UNTOUCHED.fullmatch(usual):
        return usual
    text = value
    for _ in range(_MOST_PASSES):
        before = text
        text = INVISIBLE.sub("", text).strip()
        for opening, closing in _WRAPPERS:
            if len(text) > 1 and text.startswith(opening) and text.endswith(closing) and opening not in text[1:-1]:
                text = text[1:-1]
        for pattern, replacement in _REWRITES:
            text = pattern.sub(replacement, text)
        text = _unspoken(text)
        if text == before:
            return text
    return value


def _unspoken(text: str) -> str:
    """Write ``example dot com`` and ``jane at example.com`` with signs.

    Only where every second word is such a one, as both are words of the language.
    """
    words = text.split(maxsplit=_MOST_PASSES)
    signs = [_SPOKEN.get(word.lower(), "") for word in words[1::2]]
    if len(words) % 2 == 0 or not signs or not all(signs) or signs.count("@") > 1:
        return text
    joined = "".join(part for pair in zip(words[::2], [*signs, ""], strict=True) for part in pair)
    return joined if "." in joined else text
