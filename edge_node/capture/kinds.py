"""Decides what kind of source a url is, and how it may be shown. Looks at no disk: the caller says what is a folder."""

import re
from collections.abc import Mapping
from enum import StrEnum
from urllib.parse import urlsplit

from edge_node.errors import BadInput, WrongUsage

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
RTSP_SCHEMES = frozenset({"rtsp", "rtsps"})

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")


class Kind(StrEnum):
    """What a source is."""

    PHOTO = "photo"
    FOLDER = "folder"
    VIDEO = "video"
    CAMERA = "camera"
    RTSP = "rtsp"


LIVE = frozenset({Kind.CAMERA, Kind.RTSP})
"""Kinds that go on without us: they cannot be waited for, and they may come back."""


def kind_of(url: str, *, is_folder: bool) -> Kind:
    """What kind of source a url is; a path without a known suffix is taken for a video.

    Raises:
        BadInput: a scheme that is not supported, or nothing at all.
    """
    if not url:
        raise BadInput("a source has an empty url: give a photo, a folder, a video file, /dev/videoN or rtsp://…")
    if _SCHEME.match(url):
        return _kind_of_scheme(url)
    if url.startswith("/dev/"):
        return Kind.CAMERA
    if is_folder:
        return Kind.FOLDER
    return Kind.PHOTO if _suffix(url) in PHOTO_SUFFIXES else Kind.VIDEO


def check_urls(urls: Mapping[str, str]) -> None:
    """Look at the urls of all sources, by name.

    Raises:
        WrongUsage: one is of no kind.
    """
    for name, url in urls.items():
        try:
            kind_of(url, is_folder=False)
        except BadInput as error:
            raise WrongUsage(f"sources.{name}: {error}") from None


def shown(url: str) -> str:
    """The url without user and password, for messages and logs. Many cameras take both as values in path or query."""
    if not _SCHEME.match(url):
        return url
    return re.sub(r"=[^&/]*", "=…", re.sub(r"://.*@", "://…@", url, flags=re.DOTALL))


def _kind_of_scheme(url: str) -> Kind:
    scheme = url.partition("://")[0].lower()
    if scheme not in RTSP_SCHEMES:
        raise BadInput(f"source {shown(url)}: {scheme}:// is not supported: use rtsp://, a path or /dev/videoN")
    if not urlsplit(url.replace("[", "(").replace("]", ")")).netloc.rpartition("@")[2]:
        raise BadInput(f"source {shown(url)} names no host: write rtsp://host:554/path")
    return Kind.RTSP


def _suffix(path: str) -> str:
    name = path.rpartition("/")[2]
    return "." + name.rpartition(".")[2].lower() if "." in name else ""
