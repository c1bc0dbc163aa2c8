"""Feeds of groups, and the groups that a feed has beside its indicators."""
