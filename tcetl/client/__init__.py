"""The ThreatConnect REST API: signing, session, owners, bulk reports, retrieves, batch endpoints and group files."""

from typing import TYPE_CHECKING

from tcetl.on_demand import on_demand

if TYPE_CHECKING:
    from tcetl.client.batch import BatchError, BatchJobs, BatchSettings, BatchStatus
    from tcetl.client.bulk import BulkDownload, BulkReports, BulkStatus
    from tcetl.client.connection import ThreatConnect
    from tcetl.client.files import GroupFiles
    from tcetl.client.owners import IndicatorTypeInfo, Owner, User
    from tcetl.client.session import Session

__all__ = [
    "BatchError",
    "BatchJobs",
    "BatchSettings",
    "BatchStatus",
    "BulkDownload",
    "BulkReports",
    "BulkStatus",
    "GroupFiles",
    "IndicatorTypeInfo",
    "Owner",
    "Session",
    "ThreatConnect",
    "User",
]

__getattr__ = on_demand(
    __name__,
    {
        "BatchError": "batch",
        "BatchJobs": "batch",
        "BatchSettings": "batch",
        "BatchStatus": "batch",
        "BulkDownload": "bulk",
        "BulkReports": "bulk",
        "BulkStatus": "bulk",
        "GroupFiles": "files",
        "IndicatorTypeInfo": "owners",
        "Owner": "owners",
        "Session": "session",
        "ThreatConnect": "connection",
        "User": "owners",
    },
)
