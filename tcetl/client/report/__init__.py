"""Indicators of the v2 API, from JSON to INDICATORS record batches without a Python object per indicator.

The way of a bulk report, block by block: ``cutting`` cuts the byte stream where an item ends, ``parsing`` turns each
block into Arrow in a thread of its own, ``wire`` gives it our names, ``mending`` and ``leftovers`` look again at the
few blocks that hold something unusual, and ``reader`` puts all of it together in order.
"""

from tcetl.client.report.parsing import indicator_batch
from tcetl.client.report.reader import ReportReader

__all__ = ["ReportReader", "indicator_batch"]
