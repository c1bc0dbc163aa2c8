"""Columns of hashes that are of no file: of certificates, of handshakes, of parts or likenesses of a file.

They look just like md5, sha1 or sha256, and a File indicator with such a hash would never be found anywhere.
"""

import re
from collections.abc import Collection, Sequence
from typing import Final

from tcetl.errors import FeedError

_NAME: Final = re.compile(
    r"(?:.*_)?(?:ja3s?|ja4\w*|jarm|hassh|certs?|certificates?|x509|fingerprint|thumbprint"
    r"|imphash|authentihash|pehash|impfuzzy|telfhash|richhash|vhash|dhash|icon|favicon)(?:_.*)?"
)
_CERTIFICATES: Final = re.compile(
    r"\bcertificates?\s+(?:black|block)?list\b|\bcertificates?\b.*\bfingerprints?\b|\bfingerprints?\b.*\bcertificates?\b",
    re.IGNORECASE,
)
_PARTS: Final = frozenset(
    {"issuer", "issuer_cn", "issuer_dn", "subject_cn", "subject_dn", "common_name", "not_before", "not_after", "serial"}
)
_SSLBL: Final = frozenset({"sha1", "listingreason", "listingdate"})


def is_fingerprint(name: str) -> bool:
    """Tell whether a column of that plain *name* holds what identifies something else than a file."""
    return _NAME.fullmatch(name) is not None


def are_certificates(names: Collection[str], comments: Sequence[str]) -> bool:
    """Tell whether the hashes of a feed are of certificates.

    Args:
        names: The plain names of all its columns; those of SSLBL's list are known.
        comments: What the feed says of itself.
    """
    plain = {name.replace("_", "") for name in names}
    return plain >= _SSLBL or any(_CERTIFICATES.search(comment) for comment in comments)


def may_be_certificates(names: Collection[str], comments: Sequence[str]) -> bool:
    """Tell whether hashes that stand beside a server may be of its certificate: where anything else is said of one."""
    return are_certificates(names, comments) or any(is_fingerprint(name) or name in _PARTS for name in names)


def not_files(file: str, column: str, what: str, instead: str = "") -> FeedError:
    """Return the error of a feed whose hashes, in *column*, are of *what*; *instead* says what else to load."""
    return FeedError(
        f"the hashes in '{column}' of {file} are of {what}: no indicator is made of such a hash",
        hint=f"{instead}if these are of files all the same, say so: --column value={column} (columns={{'value': "
        f"'{column}'}}), or value under [columns] of a feed definition",
    )
