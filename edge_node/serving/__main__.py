"""`python -m edge_node.serving`: started by its parent, with an inherited socket."""

import gc
import sys

gc.disable()  # modules are no garbage: looking for some while they are imported takes a tenth of the start
from edge_node.serving.process import main  # noqa: E402 - see above

if __name__ == "__main__":
    gc.enable()
    sys.exit(main(sys.argv[1:]))
