"""Batch loads: plan into chunks, submit, poll, account for every record."""

from tcetl.load.finish import finish
from tcetl.load.parts import MAX_PARTS, chunks_of, parts
from tcetl.load.plan import MAX_BYTES, MAX_RECORDS, WAVES, plan
from tcetl.load.report import JobTime, KindCounts, LoadReport
from tcetl.load.retry import rehearse, retry
from tcetl.load.run import Chunk, Receipt, Run
from tcetl.load.stuck import STUCK, StuckWatch, abandon, stuck_error
from tcetl.load.submit import Progress, advance, submit, submit_chunks
from tcetl.load.threshold import MaxErrors

__all__ = [
    "MAX_BYTES",
    "MAX_PARTS",
    "MAX_RECORDS",
    "STUCK",
    "WAVES",
    "Chunk",
    "JobTime",
    "KindCounts",
    "LoadReport",
    "MaxErrors",
    "Progress",
    "Receipt",
    "Run",
    "StuckWatch",
    "abandon",
    "advance",
    "chunks_of",
    "finish",
    "parts",
    "plan",
    "rehearse",
    "retry",
    "stuck_error",
    "submit",
    "submit_chunks",
]
