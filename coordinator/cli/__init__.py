"""`edgectl`: speaks only the coordinator's gRPC API."""


def main() -> int:
    """Run a command line; the exit code."""
    raise NotImplementedError
