"""Operators, one module per job."""
