"""Results that the coordinator has not committed yet."""
