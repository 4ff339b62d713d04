"""Desired against actual: plans steps, carries them out, reports."""
