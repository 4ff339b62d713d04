"""The coordinator: keeps models, tells nodes what to run, collects their results."""

import os

from protos import __version__ as __version__

# gRPC's C core reads this when it is loaded, and else writes its own words beside our line about a port in use
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
