"""gRPC: the protocol's messages, turned into what `Serving` takes and gives."""
