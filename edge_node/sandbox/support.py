"""What this kernel has to confine a process with, asked without confining anything."""

from collections.abc import Callable

from edge_node.sandbox import landlock, seccomp
from edge_node.sandbox.confinement import Confined
from edge_node.sandbox.kernel import Kernel, LinuxKernel


def support(kernel: Kernel | None = None) -> Confined:
    """What would be applied and what would be missing, as `confine` says it."""
    kernel = kernel or LinuxKernel()
    questions: dict[str, Callable[[Kernel], int | None]] = {"Landlock": landlock.version, "seccomp": seccomp.check}
    applied: list[str] = []
    missing: list[str] = []
    for name, ask in questions.items():
        try:
            found = ask(kernel)
        except OSError as error:
            missing.append(f"{name} ({error.strerror})")
        else:
            applied.append(name if found is None else f"{name} {found}")
    return Confined(tuple(applied), tuple(missing))
