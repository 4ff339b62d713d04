"""Serving: the node beside the bare engine and beside other servers, with one load generator."""
