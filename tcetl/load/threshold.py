"""How much of a load may go wrong before all of it counts as failed."""

import re
from decimal import Decimal
from typing import Final

from tcetl.errors import LoadError

MaxErrors = int | str
"""Most records that may stay unloaded: a number of records, or a share of those sent such as ``"1%"``."""

_FORM: Final = re.compile(r"(\d+)|(\d+(?:\.\d+)?)\s*%")


def allowed(max_errors: MaxErrors, sent: int) -> int:
    """Return how many of *sent* records may stay unloaded; a share is rounded down, so 1 % of 99 is none.

    Raises:
        LoadError: *max_errors* is neither a number of records nor a percentage up to 100.
    """
    match = _FORM.fullmatch(str(max_errors).strip())
    if match is None or (match[2] is not None and Decimal(match[2]) > 100):
        raise LoadError(
            f"max_errors is {max_errors!r}", hint="use a number of records such as 10, or a share such as 1%"
        )
    return int(match[1]) if match[1] is not None else int(sent * Decimal(match[2]) / 100)
