"""The instance's adjustable limits."""

from dataclasses import dataclass


@dataclass(slots=True)
class Limits:
    """Settings an administrator of the real platform has."""

    max_upload_bytes: int = 150_000_000  # tcex sends up to 75 MB (api §9 G-11)
    max_indicators: int = 25_000  # per job (api §5.3)
    synchronous_batch_save_limit: int = 0  # createAndUpload with fewer items runs inline; 0: always queue (api §9 G-19)
