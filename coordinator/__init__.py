"""The coordinator: keeps models, tells nodes what to run, collects their results."""

from importlib.metadata import version

__version__ = version("nearfield")
