"""Bundles as OCI artifacts (image-spec 1.1): every file a blob under its digest, and one manifest that lists them.

The digest of the manifest identifies the bundle.
The manifest is written in one way only (sorted files, no spaces), so that equal content has an equal digest on every
machine. Layout on disk: `oci-layout`, `index.json`, `blobs/sha256/<hex>`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from protos.bundle import checked_path
from protos.digest import Digest, checked_digest, digest_of
from protos.errors import ContractError

MANIFEST_MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT_TYPE = "application/vnd.nearfield.bundle.v1"
FILE_MEDIA_TYPE = "application/octet-stream"
EMPTY_MEDIA_TYPE = "application/vnd.oci.empty.v1+json"
EMPTY_CONTENT = b"{}"
LAYOUT_FILE = b'{"imageLayoutVersion":"1.0.0"}'
TITLE = "org.opencontainers.image.title"
MAX_MANIFEST = 1024 * 1024
"""No manifest is larger, in bytes."""

_TITLE_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Descriptor(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """An OCI content descriptor."""

    media_type: str
    digest: str
    size: int
    annotations: dict[str, str] = {}


class OciManifest(msgspec.Struct, frozen=True, rename="camel"):
    """The fields of an OCI image manifest that a bundle has."""

    media_type: str
    artifact_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    schema_version: int = 2


@dataclass(frozen=True)
class BundleFile:
    """A file of a bundle: where it stands, what it contains, its size in bytes."""

    path: str
    digest: Digest
    size: int


def write_manifest(files: Iterable[BundleFile]) -> bytes:
    """The manifest of these files; its digest identifies the bundle.

    Raises:
        ContractError: a path leaves the bundle or stands twice, or there are more files than a manifest lists.
    """
    ordered = sorted(files, key=lambda file: file.path)
    _check_paths(file.path for file in ordered)
    layers = tuple(
        Descriptor(media_type=FILE_MEDIA_TYPE, digest=file.digest, size=file.size, annotations={TITLE: file.path})
        for file in ordered
    )
    empty = Descriptor(media_type=EMPTY_MEDIA_TYPE, digest=digest_of(EMPTY_CONTENT), size=len(EMPTY_CONTENT))
    manifest = OciManifest(
        media_type=MANIFEST_MEDIA_TYPE, artifact_type=ARTIFACT_TYPE, config=empty, layers=layers, schema_version=2
    )
    content = msgspec.json.encode(manifest, order="sorted")
    _check_size(content)
    return content


def read_manifest(content: bytes) -> tuple[BundleFile, ...]:
    """The files that a manifest lists, sorted by path.

    Raises:
        ContractError: too large, not a manifest, not a bundle's, a bad digest, or a path that leaves the bundle.
    """
    _check_size(content)
    try:
        manifest = msgspec.json.decode(content, type=OciManifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError(f"not an OCI manifest: {error}") from None
    if manifest.artifact_type != ARTIFACT_TYPE:
        raise ContractError(f"an artifact of type {manifest.artifact_type!r}, not a bundle ({ARTIFACT_TYPE})")
    files = tuple(_file(layer) for layer in manifest.layers)
    _check_paths(file.path for file in files)
    return tuple(sorted(files, key=lambda file: file.path))


def _file(layer: Descriptor) -> BundleFile:
    path = layer.annotations.get(TITLE)
    if path is None or layer.size < 0:
        raise ContractError(f"a layer of the manifest has no {TITLE} or a negative size")
    return BundleFile(path, checked_digest(layer.digest), layer.size)


def _check_size(content: bytes) -> None:
    if len(content) > MAX_MANIFEST:
        raise ContractError(
            f"a bundle's manifest of {len(content)} bytes; at most {MAX_MANIFEST} are allowed, some 4000 files"
        )


def _check_paths(paths: Iterable[str]) -> None:
    seen: set[str] = set()
    for path in paths:
        checked_path(path)
        if _TITLE_CONTROL.search(path):
            raise ContractError(f"{path!r}: control characters in a file name")
        if path in seen:
            raise ContractError(f"{path!r} is listed twice")
        seen.add(path)
