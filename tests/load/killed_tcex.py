"""Load with tcex and be killed (SIGKILL) once the platform has taken the upload: ``killed_tcex.py FOLDER OWNER NAME…``.

The connection is in ``TC_*``, the authority's certificate in ``TC_VERIFY_TLS``.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
from tcex_app import tcex_app


def main(folder: str, owner: str, *names: str) -> None:
    credentials = (os.environ["TC_API_URL"], os.environ["TC_ACCESS_ID"], os.environ["TC_SECRET_KEY"])
    with tcex_app(*credentials, Path(folder), Path(os.environ["TC_VERIFY_TLS"])) as app:
        batch = app.api.tc.v2.batch(owner)
        for name in names:
            batch.save(batch.indicator("Host", name))
        post = batch.session_tc.post

        def post_and_die(*args: Any, **options: Any) -> None:
            post(*args, **options)
            os.kill(os.getpid(), signal.SIGKILL)

        batch.session_tc.post = post_and_die
        batch.submit_all()


if __name__ == "__main__":
    main(*sys.argv[1:])
