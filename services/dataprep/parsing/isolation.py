"""A process that gives up what a parser has no use for: the network, other programs, other files.

By the kernel's own means and without a privilege: seccomp for system calls, Landlock for files. What a kernel
does not have is left out, and the reply says what is in force: Linux 5.13 and later on x86-64 and arm64 has
both, other systems neither. Run it before a second thread begins, as both hold for threads made afterwards.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

_SET_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER_MODE = 38, 22, 2
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050001
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_FOREIGN_CALLS = 0x40000000
"""Calls of x32, another numbering on x86-64."""

# socket, connect, execve, execveat, ptrace, process_vm_readv, process_vm_writev, io_uring_setup, pidfd_getfd
_MACHINES = {
    "x86_64": (0xC000003E, (41, 42, 59, 322, 101, 310, 311, 425, 438)),
    "aarch64": (0xC00000B7, (198, 203, 221, 281, 117, 270, 271, 425, 438)),
}

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_BELOW_A_PATH = 1
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""All that Landlock can forbid of files, by its version."""

_SYSTEM = (
    "/usr/lib",
    "/usr/local/lib",
    "/usr/share",
    "/lib",
    "/lib64",
    "/proc/self",
    "/dev/null",
    "/dev/urandom",
)
_SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types")
_PROCESSORS = ("/sys/devices/system/cpu", "/sys/devices/system/node", "/proc/cpuinfo", "/proc/meminfo")
"""OpenVINO asks how many processors there are, and for ever where nothing answers."""


PROTECTIONS = ("files", "network", "programs")


def isolate(readable: Path | None) -> list[str]:
    """Give up the network, other programs, and all files but Python's own and those of a folder.

    Args:
        readable: The folder of the files to parse; None: every file can still be read, and none written.

    Returns:
        What is in force: some of `PROTECTIONS`.
    """
    if sys.platform != "linux":
        return []
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        return []
    in_force = (
        ["files"]
        if _restrict_files(libc, [Path("/")] if readable is None else _list_needed(readable))
        else []
    )
    return [*in_force, "network", "programs"] if _restrict_calls(libc) else in_force


def _list_needed(readable: Path) -> list[Path]:
    """List what a parser reads: its files, and what Python imports while it works."""
    ours = Path(__file__).resolve().parents[2]
    own = [ours, Path(sys.prefix), Path(sys.base_prefix)]
    # a checkout, from which `services` is imported, may have files beside it that are nobody's business
    libraries = [
        Path(entry).resolve() for entry in sys.path if entry and Path(entry).resolve() != ours.parent
    ]
    cwd = Path.cwd()
    return [
        readable,
        *own,
        *(path for path in libraries if path != cwd),
        *map(Path, _SYSTEM + _SYSTEM_FILES + _PROCESSORS),
    ]


def _restrict_files(libc: ctypes.CDLL, paths: Iterable[Path]) -> bool:
    """Let only these be read, and nothing be written. Returns whether the kernel can."""
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    rights = _FILE_RIGHTS[min(version, max(_FILE_RIGHTS))]
    attributes = struct.pack("=Q", rights)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return False
    try:
        for path in paths:
            _allow_reading(libc, ruleset, path)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow_reading(libc: ctypes.CDLL, ruleset: int, path: Path) -> None:
    try:
        descriptor = os.open(path, getattr(os, "O_PATH", 0) | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rights = _READ_FILE | _READ_FOLDER if path.is_dir() else _READ_FILE
        libc.syscall(_ADD_RULE, ruleset, _BELOW_A_PATH, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _restrict_calls(libc: ctypes.CDLL) -> bool:
    """Have the kernel refuse sockets, other programs and other processes' memory. Returns whether it does."""
    if platform.machine() not in _MACHINES:
        return False
    architecture, refused = _MACHINES[platform.machine()]
    checks = [(_AT_LEAST, _FOREIGN_CALLS), *((_EQUAL, number) for number in refused)]
    steps = [
        struct.pack("=HBBI", _LOAD, 0, 0, 4),
        struct.pack("=HBBI", _EQUAL, 1, 0, architecture),
        struct.pack("=HBBI", _RETURN, 0, 0, _KILL),
        struct.pack("=HBBI", _LOAD, 0, 0, 0),
        *(
            struct.pack("=HBBI", check, len(checks) - at, 0, number)
            for at, (check, number) in enumerate(checks)
        ),
        struct.pack("=HBBI", _RETURN, 0, 0, _ALLOW),
        struct.pack("=HBBI", _RETURN, 0, 0, _REFUSE),
    ]
    program = _Program(len(steps), b"".join(steps))
    return bool(libc.prctl(_SET_SECCOMP, _FILTER_MODE, ctypes.byref(program), 0, 0) == 0)
