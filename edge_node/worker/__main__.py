"""`python -m edge_node.worker`: started by the agent, not by people."""

import sys

from edge_node.worker.process import main

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
