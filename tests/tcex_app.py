"""The vendor's own client, tcex, unchanged, set up as an app of the platform would have it."""

import json
import os
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

_INSTALL = {
    "allowOnDemand": True,
    "displayName": "tcetl test",
    "features": [],
    "languageVersion": "3.11",
    "listDelimiter": "|",
    "params": [],
    "programLanguage": "PYTHON",
    "programMain": "run",
    "programVersion": "1.0.0",
    "runtimeLevel": "Organization",
}


@contextmanager
def tcex_app(url: str, access_id: str, secret_key: str, folder: Path, ca_file: Path | None = None) -> Iterator[Any]:
    """A TcEx instance that signs by HMAC; it reads its settings from *folder*, in which the block is run."""
    (folder / "install.json").write_text(json.dumps(_INSTALL))
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    if ca_file:
        kept["REQUESTS_CA_BUNDLE"] = str(ca_file)
    with (
        chdir(folder),
        mock.patch.dict(os.environ, kept, clear=True),
        mock.patch("signal.signal"),  # it takes over signals when it is made
    ):
        from tcex import TcEx
        from tcex.registry import registry  # in which it keeps itself

        registry._reset()
        config = {
            "tc_api_path": url,
            "tc_api_access_id": access_id,
            "tc_api_secret_key": secret_key,
            "tc_verify": True,
            "tc_log_level": "error",
        }
        folders = dict.fromkeys(("tc_log_path", "tc_out_path", "tc_temp_path", "tc_in_path"), str(folder))
        yield TcEx(config=config | folders)
        registry._reset()
