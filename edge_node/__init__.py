"""The node agent: runs models beside cameras and sensors, sends only their outputs upstream."""

from importlib.metadata import version

__version__ = version("nearfield")
