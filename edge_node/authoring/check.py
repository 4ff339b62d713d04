"""What is wrong with a bundle folder, beyond what reading it refuses. The list of files comes in; nothing is read."""

from collections.abc import Sequence

from edge_node.engine.proof import VariantProof
from protos.bundle import MANIFEST, Manifest, golden_files, named_files


def strays(manifest: Manifest, present: Sequence[str]) -> list[str]:
    """The files that the manifest does not name: a node would refuse them."""
    named = {MANIFEST, *named_files(manifest), *golden_files(manifest, present)}
    return sorted(set(present) - named)


def problems(
    manifest: Manifest, present: Sequence[str], links: Sequence[str], proofs: Sequence[VariantProof]
) -> list[str]:
    """One line each.

    Args:
        manifest: of the bundle.
        present: the files of the folder, with forward slashes.
        links: those of them that are links out of the folder.
        proofs: of every variant on this machine.
    """
    found = [f"{path} leads out of the folder: put the file itself there" for path in links]
    found += [f"{path} is not named by {MANIFEST}: add it to files, or remove it" for path in strays(manifest, present)]
    found += [complaint(proof) for proof in proofs if not proof.agrees and proof.engine_version]
    if all(not proof.engine_version for proof in proofs):
        found.append(proofs[0].error)
    return found


def complaint(proof: VariantProof) -> str:
    """Why a variant may not serve."""
    if proof.error:
        return f"{proof.file}: {proof.error}"
    return f"{proof.file} disagrees with the golden vectors: {proof.agreement:.4g} against {proof.tolerance:.4g}"
