"""Which column of a feed means what."""
