"""Bundles made from raw model files: what the files say, what the author adds, and whether it all fits together."""
