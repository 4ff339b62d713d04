"""Programs written for Triton's client library in the usual ways; the suites run them with it, each in its own process.

Each takes the server's address and ends with PASS.
"""
