"""Take the planned load in the directory named by the first argument to its end, as a task's process does."""

import sys
from collections import defaultdict
from types import SimpleNamespace

from tcetl.airflow.operators.upload import ThreatConnectBatchUploadOperator

events = defaultdict(lambda: SimpleNamespace(extra=None))
ThreatConnectBatchUploadOperator(task_id="upload", run_dir=sys.argv[1]).execute({"outlet_events": events})
