"""Admission: which model files, golden vectors and labels are taken, decided without an engine.

A coordinator asks on push and a node asks again before an engine sees the file; both ask here. Readers of the formats
are bounded in time by the fields that they look at (`limits.Work`) and in memory by mapping, not reading.
"""
