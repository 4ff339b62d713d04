"""`edge-coordinator`, also as `python -m coordinator`."""


def main() -> int:
    """Run a command line; the exit code."""
    raise NotImplementedError


if __name__ == "__main__":
    raise SystemExit(main())
