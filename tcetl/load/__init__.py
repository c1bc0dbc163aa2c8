"""Batch loads: plan into chunks, submit, poll, account for every record."""
