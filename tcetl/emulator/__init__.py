"""A stateful local ThreatConnect, written from the API contract alone."""
