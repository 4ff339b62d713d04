"""The wire contract: what a node and a coordinator must agree on, and nothing else.

Topics, documents, results, bundles and gRPC services. Nothing here does I/O. What both sides merely
need, each side has for itself.
"""

__version__ = "0.1.0"
"""Of the one distribution that holds all three packages; a constant, since reading metadata costs every start 30 ms."""
