"""What Airflow is told about this package, through the entry point ``apache_airflow_provider``."""

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """The provider's metadata, in the form of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "tcetl",
        "name": "ThreatConnect",
        "description": "Feeds into ThreatConnect by batch jobs; bulk reports and retrieves into a lake and to SIEMs.",
        "integrations": [
            {
                "integration-name": "ThreatConnect",
                "external-doc-url": "https://docs.threatconnect.com/",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": "ThreatConnect", "python-modules": ["tcetl.airflow.hooks.threatconnect"]}],
        "operators": [
            {
                "integration-name": "ThreatConnect",
                "python-modules": [
                    "tcetl.airflow.operators.feed",
                    "tcetl.airflow.operators.upload",
                    "tcetl.airflow.operators.run",
                    "tcetl.airflow.operators.download",
                    "tcetl.airflow.operators.export",
                ],
            }
        ],
        "triggers": [{"integration-name": "ThreatConnect", "python-modules": ["tcetl.airflow.triggers.batch"]}],
        "task-decorators": [
            {"class-name": "tcetl.airflow.decorators.transform.transform_task", "name": "tc_transform"}
        ],
        "connection-types": [
            {
                "connection-type": "threatconnect",
                "hook-class-name": "tcetl.airflow.hooks.threatconnect.ThreatConnectHook",
                "hook-name": "ThreatConnect",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port"],
                    "relabeling": {"host": "API URL", "login": "Access ID", "password": "Secret key"},
                    "placeholders": {"host": "https://app.threatconnect.com/api"},
                },
                "conn-fields": _CONNECTION_FIELDS,
            }
        ],
        "config": {
            "threatconnect": {
                "description": "Defaults of the ThreatConnect provider.",
                "options": {
                    "data_folder": {
                        "description": "Where the ready DAGs keep run directories, lake and exports unless told "
                        "otherwise. All workers must see it.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/mnt/shared/threatconnect",
                        "default": "{AIRFLOW_HOME}/data",
                    },
                    "feeds": {
                        "description": "Feeds to load on a schedule of their own, separated by commas: names that "
                        "`tcetl feed list` shows, or definitions of your own (paths ending in .toml).",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "urlhaus-recent,cisa-kev,/etc/tcetl/partner.toml",
                        "default": "",
                    },
                },
            }
        },
    }


_OPTIONAL_TEXT: dict[str, Any] = {"type": ["string", "null"]}
_OPTIONAL_SECRET: dict[str, Any] = {"type": ["string", "null"], "format": "password"}

_CONNECTION_FIELDS: dict[str, Any] = {
    "default_owner": {
        "label": "Default owner",
        "description": "Used where a task names no owner.",
        "schema": _OPTIONAL_TEXT,
    },
    "token": {
        "label": "API token",
        "description": "Used instead of access ID and secret key when set.",
        "schema": _OPTIONAL_SECRET,
    },
    "verify_tls": {
        "label": "Verify TLS",
        "description": "Off: anyone on the way can read and change everything.",
        "schema": {"type": "boolean", "default": True},
    },
    "ca_file": {
        "label": "CA file",
        "description": "Trust these CA certificates (a path on the workers) instead of the usual ones.",
        "schema": _OPTIONAL_TEXT,
    },
    "proxy": {
        "label": "Proxy",
        "description": "URL of a proxy. Empty: the workers' HTTPS_PROXY applies.",
        "schema": _OPTIONAL_SECRET,
    },
    "timeout": {
        "label": "Timeout (seconds)",
        "description": "To wait for a connection and between two bytes of an answer.",
        "schema": {"type": ["number", "null"], "minimum": 1, "maximum": 3600},
    },
    "retries": {
        "label": "Retries",
        "description": "Attempts after the first for lost connections, 429 and 5xx.",
        "schema": {"type": ["integer", "null"], "minimum": 0, "maximum": 100},
    },
    "rate_limit": {
        "label": "Rate limit",
        "description": "Most requests a second.",
        "schema": {"type": ["number", "null"], "minimum": 0},
    },
}
"""Fields of the connection form beside the standard ones; kept in the connection's ``extra``."""
