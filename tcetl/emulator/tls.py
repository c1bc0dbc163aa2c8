"""A certificate authority of one's own, for HTTPS on loopback."""

from pathlib import Path

import trustme


def issue(directory: Path) -> tuple[Path, Path]:
    """Write the authority's certificate and a server certificate with its key; return both paths, authority first."""
    authority = trustme.CA()
    ca_file, server_file = directory / "ca.pem", directory / "server.pem"
    authority.cert_pem.write_to_path(ca_file)
    authority.issue_cert("localhost", "127.0.0.1", "::1").private_key_and_cert_chain_pem.write_to_path(server_file)
    server_file.chmod(0o600)
    return ca_file, server_file
