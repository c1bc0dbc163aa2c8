"""tcetl as an Airflow provider: hook, operators, trigger and ready DAGs. Thin: every decision is made below.

This module and :mod:`tcetl.airflow.get_provider_info` must not import Airflow: Airflow imports them while it starts.
"""

from pathlib import Path


def dags_folder() -> Path:
    """The folder of the ready DAGs: inside the installed package, or ``dags/`` at the top of a checkout."""
    package = Path(__file__).parent
    installed = package / "dags"
    return installed if installed.is_dir() else package.parents[1] / "dags"
