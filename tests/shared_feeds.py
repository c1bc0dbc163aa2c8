"""Where the real feeds lie: in ``shared/feeds`` beside the checkout, or where ``TCETL_SHARED`` says.

None of them is committed. Tests that need them skip where they are not there.
"""

import os
from pathlib import Path
from typing import Final

import pytest

FEEDS: Final = Path(os.environ.get("TCETL_SHARED", Path(__file__).parents[2] / "shared")).resolve() / "feeds"

needs_feeds = pytest.mark.skipif(not FEEDS.is_dir(), reason="the real feeds are not here")
"""Skip a test where they are not."""
