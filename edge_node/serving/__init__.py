"""Local serving: the Open Inference Protocol over gRPC and REST, in a process of its own without engines and numpy."""
