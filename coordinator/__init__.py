"""The coordinator: keeps models, tells nodes what to run, collects their results."""

from protos import __version__ as __version__
