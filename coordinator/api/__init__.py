"""gRPC: each method converts, calls a service, converts."""
