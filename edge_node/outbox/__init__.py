"""Results that are not yet acknowledged: numbered, on disk, bounded; and their way to the collector."""
