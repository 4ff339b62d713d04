"""The wire contract: what a node and a coordinator must agree on, and nothing else.

Topics, documents, results, bundles and gRPC services. Nothing here does I/O. What both sides merely
need, each side has for itself.
"""
