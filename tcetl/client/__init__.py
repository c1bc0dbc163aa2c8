"""The ThreatConnect REST API: signing, session, owners, bulk reports, retrieves and batch endpoints."""
