"""Real node and collector processes for the tests and benchmarks of the durable way, and who kills them."""
