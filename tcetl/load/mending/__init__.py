"""What somebody mended of a run's dead letters, by hand, before a retry."""
