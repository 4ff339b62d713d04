"""Engines: one file per runtime, each behind the protocol of `base`."""
