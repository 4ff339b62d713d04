"""Nodes, what they are called, whether they are there, and what they should run."""
