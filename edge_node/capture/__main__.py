"""`python -m edge_node.capture`: started by the agent, not by people."""

from edge_node.capture.process import main

if __name__ == "__main__":
    raise SystemExit(main())
