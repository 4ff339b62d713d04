"""Results: taken in exactly once, kept in partitions, queried."""
