"""Which bundles may become a version: decided from the list of files, the text of `model.toml`, and a look into each.

Whether the model runs is not decided here: every device proves that for itself.
"""

from collections.abc import Callable, Sequence
from typing import BinaryIO

from coordinator.errors import BadInput, Refused
from protos.admission.bundle import admit_bundle, content_of
from protos.admission.limits import LIMITS, Inadmissible
from protos.bundle import MANIFEST, Manifest, golden_files, missing_files, parse_manifest
from protos.digest import Digest
from protos.errors import ContractError
from protos.evaluation import EVALUATION, Requirement, shortcomings
from protos.oci import BundleFile

MAX_FILE = 4 * 1024**3
"""No file of a bundle is larger, in bytes."""
MAX_BUNDLE = 8 * 1024**3
"""No bundle is larger, in bytes."""


def model_toml_of(files: Sequence[BundleFile]) -> BundleFile:
    """The entry of `model.toml`, after the sizes have been checked.

    Raises:
        BadInput: there is none.
        Refused: too large. (How many files there may be is bounded by the size of a manifest.)
    """
    total = sum(file.size for file in files)
    if total > MAX_BUNDLE:
        raise Refused(f"a bundle of {total} bytes; at most {MAX_BUNDLE} are taken")
    for file in files:
        check_size(file.path, file.size)
    found = next((file for file in files if file.path == MANIFEST), None)
    if found is None:
        raise BadInput(f"the bundle has no {MANIFEST}: make one with edgectl model init")
    if found.size > LIMITS.manifest_bytes:
        raise Refused(f"{MANIFEST} has {found.size} bytes; at most {LIMITS.manifest_bytes} are taken")
    return found


def check_size(what: str, size: int) -> None:
    """A file of this many bytes is taken.

    Raises:
        Refused: it is too large.
    """
    if size > MAX_FILE:
        raise Refused(f"{what} has {size} bytes; at most {MAX_FILE} are taken")


def admit(model: str, files: Sequence[BundleFile], model_toml: str) -> Manifest:
    """The manifest of a bundle that may become a version of `model` (empty: of the model that it names).

    Raises:
        BadInput: the manifest is wrong, is another model's, or names files that are not there.
    """
    present = {file.path for file in files}
    try:
        manifest = parse_manifest(model_toml)
    except ContractError as error:
        raise BadInput(str(error)) from None
    if model and manifest.name != model:
        raise BadInput(f"{MANIFEST} names the model {manifest.name!r}, not {model!r}")
    missing = missing_files(manifest, present)
    if missing:
        raise BadInput(f"{MANIFEST} names files that are not in the bundle: {', '.join(missing)}")
    if manifest.golden is not None and not golden_files(manifest, present):
        raise BadInput(f"{MANIFEST}: no file of the bundle matches the golden vectors {manifest.golden.vectors!r}")
    return manifest


def check_evaluation(
    manifest: Manifest,
    files: Sequence[BundleFile],
    requirements: Sequence[Requirement],
    read: Callable[[Digest], bytes],
) -> None:
    """Return if every variant was found to be worth what is required.

    Raises:
        Refused: it was not, or nobody has looked.
    """
    digests = {file.path: file.digest for file in files}
    found = next((file for file in files if file.path == EVALUATION), None)
    if found is not None and found.size > LIMITS.manifest_bytes:
        raise Refused(f"{EVALUATION} has {found.size} bytes; at most {LIMITS.manifest_bytes} are taken")
    content = None if found is None or not requirements else read(found.digest)
    try:
        lines = shortcomings(content, {one.file: digests[one.file] for one in manifest.variants}, requirements)
    except ContractError as error:
        raise Refused(str(error)) from None
    if lines:
        raise Refused("; ".join(lines))


def admit_content(manifest: Manifest, files: Sequence[BundleFile], blob: Callable[[Digest], BinaryIO]) -> None:
    """Return if no file of the bundle is hostile (`protos.admission`); nodes look again.

    Args:
        manifest: of the bundle.
        files: all of them.
        blob: opens a blob for reading.

    Raises:
        Refused: a file is; names it and the limit.
    """
    digests = {file.path: file.digest for file in files}

    def content(path: str) -> memoryview:
        with blob(digests[path]) as file:
            return content_of(file)

    try:
        admit_bundle(manifest, {file.path: file.size for file in files}, content)
    except Inadmissible as error:
        raise Refused(str(error)) from None
