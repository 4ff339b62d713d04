"""`edge-node`, also as `python -m edge_node`."""

from edge_node.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
