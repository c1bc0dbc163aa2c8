import json
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import airflow
import jsonschema
import pytest

from tcetl.airflow import dags_folder
from tcetl.airflow.get_provider_info import get_provider_info

INFO = get_provider_info()


def _schema(name: str) -> dict:
    return json.loads((Path(airflow.__file__).parent / name).read_text())


def test_provider_info_follows_airflows_schema():
    jsonschema.validate(INFO, _schema("provider_info.schema.json"))


def test_connection_form_follows_the_stricter_schema_of_provider_files():
    jsonschema.validate(
        INFO["connection-types"], _schema("provider.yaml.schema.json")["properties"]["connection-types"]
    )


def test_airflow_finds_the_provider():
    (found,) = entry_points(group="apache_airflow_provider").select(
        value=f"{get_provider_info.__module__}:get_provider_info"
    )
    assert found.load() is get_provider_info


def test_every_module_named_exists():
    for kind in ("hooks", "operators", "triggers"):
        for entry in INFO[kind]:
            for module in entry["python-modules"]:
                import_module(module)


def test_hook_class_is_of_the_connection_type():
    (described,) = INFO["connection-types"]
    module, name = described["hook-class-name"].rsplit(".", 1)
    hook = getattr(import_module(module), name)
    assert (hook.conn_type, hook.hook_name) == (described["connection-type"], described["hook-name"])


def test_secret_fields_are_masked_in_the_form():
    fields = INFO["connection-types"][0]["conn-fields"]
    assert {name for name, field in fields.items() if field["schema"].get("format") == "password"} == {"token", "proxy"}


@pytest.mark.parametrize("module", ["tcetl.airflow", "tcetl.airflow.get_provider_info"])
def test_modules_that_airflow_imports_while_it_starts_do_not_import_airflow(module):
    code = f"import sys, {module}; sys.exit('airflow' in sys.modules or 'pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_dags_folder_holds_the_dags_and_nothing_else():
    assert {path.name for path in dags_folder().glob("*.py")} == {
        "threatconnect_batch_retry.py",
        "threatconnect_bulk_to_lake.py",
        "threatconnect_catalogue.py",
        "threatconnect_feed_ingest.py",
        "threatconnect_feed_ingest_mapped.py",
        "threatconnect_siem_export.py",
    }
