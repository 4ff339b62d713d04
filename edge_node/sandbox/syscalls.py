"""The system calls that a process with models has no use for, with their numbers. Pure.

`name x86-64 arm64`, `-` where a machine has no such call; from <asm/unistd_64.h> and <asm-generic/unistd.h> of Linux
6.18. Calls newer than those of this file are refused as a kernel without them would.
"""

from collections.abc import Iterator

NEWEST = 469
"""`file_setattr`; numbers are the same on all machines since 424"""

MACHINES = {"x86_64": 0, "aarch64": 1}

DENIED: dict[str, str] = {
    "no new socket, no connection": """
        socket 41 198, connect 42 203, accept 43 202, accept4 288 242, bind 49 200, listen 50 201""",
    "no other program": "fork 57 -, vfork 58 -, execve 59 221, execveat 322 281",
    "no signal to others": """
        tkill 200 130, rt_sigqueueinfo 129 138, rt_tgsigqueueinfo 297 240,
        pidfd_open 434 434, pidfd_getfd 438 438, pidfd_send_signal 424 424""",
    "nothing of other processes: memory, scheduling": """
        ptrace 101 117, process_vm_readv 310 270, process_vm_writev 311 271, process_madvise 440 440,
        process_mrelease 448 448, kcmp 312 272, migrate_pages 256 238, move_pages 279 239,
        setpriority 141 140, ioprio_set 251 30, sched_setscheduler 144 119, sched_setparam 142 118,
        sched_setattr 314 274""",
    "no namespace, no mount": """
        mount 165 40, umount2 166 39, pivot_root 155 41, chroot 161 51, unshare 272 97, setns 308 268,
        open_tree 428 428, move_mount 429 429, fsopen 430 430, fsconfig 431 431, fsmount 432 432, fspick 433 433,
        mount_setattr 442 442, open_tree_attr 467 467, quotactl 179 60, quotactl_fd 443 443,
        swapon 167 224, swapoff 168 225""",
    "no file by a handle, no watch on a file system": """
        name_to_handle_at 303 264, open_by_handle_at 304 265, fanotify_init 300 262""",
    "no more of the kernel than is needed": """
        bpf 321 280, perf_event_open 298 241, userfaultfd 323 282,
        io_uring_setup 425 425, io_uring_enter 426 426, io_uring_register 427 427,
        keyctl 250 219, add_key 248 217, request_key 249 218,
        init_module 175 105, finit_module 313 273, delete_module 176 106, kexec_load 246 104,
        kexec_file_load 320 294, reboot 169 142, acct 163 89, syslog 103 116,
        settimeofday 164 170, clock_settime 227 112, clock_adjtime 305 266, adjtimex 159 171,
        sethostname 170 161, setdomainname 171 162, iopl 172 -, ioperm 173 -, modify_ldt 154 -""",
    "no memory that no limit counts": """
        memfd_create 319 279, memfd_secret 447 447, shmget 29 194, msgget 68 186, semget 64 190, mq_open 240 180""",
    "no change of a file, of its mode or owner": """
        chmod 90 -, fchmod 91 52, fchmodat 268 53, fchmodat2 452 452, chown 92 -, lchown 94 -, fchown 93 55,
        fchownat 260 54, setxattr 188 5, lsetxattr 189 6, fsetxattr 190 7, removexattr 197 14, lremovexattr 198 15,
        fremovexattr 199 16, setxattrat 463 463, removexattrat 466 466, file_setattr 469 469,
        utime 132 -, utimes 235 -, futimesat 261 -, utimensat 280 88, truncate 76 45,
        link 86 -, linkat 265 37, symlink 88 -, symlinkat 266 36, mknod 133 -, mknodat 259 33""",
}

KEEPING = """
    creat 85 -, unlink 87 -, unlinkat 263 35, rmdir 84 -, rename 82 -, renameat 264 38, renameat2 316 276,
    mkdir 83 -, mkdirat 258 34"""
"""To make, rename and remove files and folders: for a process with a scratch folder, where Landlock says which."""

SERVING = frozenset({"socket", "bind", "listen", "accept", "accept4", "memfd_create"})
"""Of `DENIED`, what a server needs: to listen and to accept, and memory that it shares with workers."""

OPENING = "socket 41 198, bind 49 200, listen 50 201"
"""What a server does not need any more once it listens."""

JUDGED = """
    clone 56 220, clone3 435 435, kill 62 129, tgkill 234 131, prlimit64 302 261, sched_setaffinity 203 122,
    prctl 157 167, ioctl 16 29"""
"""Those whose arguments decide."""


def denied(machine: str, *, keeps: bool = False, serves: bool = False) -> tuple[int, ...]:
    """The numbers of `DENIED` on a machine of `MACHINES`, rising; of `KEEPING` as well, unless it `keeps` files.

    Those of `SERVING` are left out where it `serves`.
    """
    groups = DENIED.values() if keeps else (*DENIED.values(), KEEPING)
    free = SERVING if serves else frozenset()
    return tuple(sorted(number for calls in groups for name, number in named(calls, machine) if name not in free))


def opening(machine: str) -> tuple[int, ...]:
    """The numbers of `OPENING` on a machine of `MACHINES`."""
    return tuple(number for _, number in named(OPENING, machine))


def judged(machine: str) -> dict[str, int]:
    """The numbers of `JUDGED` on a machine of `MACHINES`, by name."""
    return dict(named(JUDGED, machine))


def named(calls: str, machine: str) -> Iterator[tuple[str, int]]:
    """Name and number of those calls that a machine has."""
    for entry in calls.split(","):
        name, *numbers = entry.split()
        number = numbers[MACHINES[machine]]
        if number != "-":
            yield name, int(number)
