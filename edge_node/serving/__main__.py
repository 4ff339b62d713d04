"""`python -m edge_node.serving`: started by its parent, with an inherited socket."""

import sys

from edge_node.serving.process import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
