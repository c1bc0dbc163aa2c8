"""The ThreatConnect hook."""
