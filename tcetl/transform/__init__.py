"""From raw feed rows to validated, canonical, deduplicated indicators."""
