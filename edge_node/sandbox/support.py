"""What this kernel has to confine a process with, asked without confining anything."""

from edge_node.sandbox import landlock, seccomp
from edge_node.sandbox.attempts import Attempts
from edge_node.sandbox.confinement import Confined
from edge_node.sandbox.kernel import Kernel, LinuxKernel


def support(kernel: Kernel | None = None) -> Confined:
    """What would be applied and what would be missing, as `confine` says it."""
    asked = kernel or LinuxKernel()
    attempts = Attempts()
    attempts.make("Landlock", lambda: landlock.version(asked))
    attempts.make("seccomp", lambda: seccomp.check(asked))
    return attempts.result()
