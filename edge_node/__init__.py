"""The node agent: runs models beside cameras and sensors, sends only their outputs upstream."""

from protos import __version__ as __version__
