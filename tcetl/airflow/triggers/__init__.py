"""Triggers of the deferrable operators."""
