"""What a process that opens models may do: read a few files, compute, answer on sockets that it was given.

Imports nothing of the node but its errors, and no engine.
"""
