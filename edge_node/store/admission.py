"""Before a bundle is used: whether all of its files are taken (`protos.admission`). Asked again at each verification.

A coordinator has asked the same when the bundle was pushed; a node believes nobody.
"""

from edge_node.errors import Refused
from edge_node.store.bundles import Bundles
from protos.admission.bundle import admit_bundle, content_of
from protos.admission.text import manifest_text
from protos.bundle import MANIFEST, parse_manifest
from protos.digest import Digest, short
from protos.errors import ContractError


def admit(bundles: Bundles, digest: Digest) -> None:
    """Return if a bundle of the store, whole and intact, may be used.

    Raises:
        Refused: a file of it may not; names the file.
    """
    files = {file.path: file for file in bundles.files(digest)}
    if MANIFEST not in files:
        raise Refused(f"bundle {short(digest)} has no {MANIFEST}")

    def content(path: str) -> memoryview:
        with bundles.blobs.path(files[path].digest).open("rb") as file:
            return content_of(file)

    try:
        with bundles.blobs.path(files[MANIFEST].digest).open("rb") as file:
            manifest = parse_manifest(manifest_text(file))
        admit_bundle(manifest, {path: file.size for path, file in files.items()}, content)
    except ContractError as error:
        raise Refused(f"bundle {short(digest)}: {error}") from None
