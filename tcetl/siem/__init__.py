"""SIEM formats: one module per format, all through one :func:`export` that counts what it wrote."""

from tcetl.siem.exporting import FORMATS, ExportReport, export
from tcetl.siem.format import Format

__all__ = ["FORMATS", "ExportReport", "Format", "export"]
