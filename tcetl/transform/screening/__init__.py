"""Indicators held against allow-lists."""
