"""Rows that are one indicator become one."""
