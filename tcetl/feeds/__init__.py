"""Feed readers: each turns one format into raw batches whose every row knows its origin."""
