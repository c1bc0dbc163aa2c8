"""SIEM formats: one module per format, one record per line."""
