"""Users' transforms of the indicators of a normalised feed: the last stage, after allow-lists and scores."""

from collections.abc import Sequence

from tcetl.transform.leaving_out import leave_out
from tcetl.transform.normalise import Normalised
from tcetl.transform.user import Transform
from tcetl.transform.user.dropped import DROPPED, reason_of


def transform_indicators(normalised: Normalised, transforms: Sequence[Transform]) -> Normalised:
    """Return *normalised* as *transforms* leave its indicators, in order.

    Raises:
        TransformError: A transform failed, or returned what breaks a rule.
    """
    if not transforms:
        return normalised
    from tcetl.transform.user.indicators import run_on_indicators  # noqa: PLC0415 - imports pandas

    kept, dropped = run_on_indicators(normalised.indicators, transforms)
    return leave_out(normalised, kept, [(reason_of(name), table) for name, table in dropped], code=DROPPED)
