"""Parquet datasets: written aside, published by one atomic step, described by a manifest."""
