"""Bundles on disk: fetched, verified, then named."""
