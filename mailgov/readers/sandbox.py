"""What a reader process gives up before it sees the first message.

Each measure stands alone and is used where the kernel has it: limits on resources, no new
privileges, an empty network namespace, and Landlock without a single permitted path. What is in
force is reported to the parent. Linux only; elsewhere only the limits of POSIX hold.
"""

import ctypes
import os
import resource
import sys

OPEN_FILES = 64
_PAGE_BYTES = resource.getpagesize()

_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
# Landlock, linux/landlock.h; the numbers of the calls are the same on every architecture.
_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_ABI_VERSION = 1
# Kinds of file access known to each version: 13 in the first, then refer, truncate, ioctl.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_FILE_RIGHTS_NOW = 16
_NETWORK_RIGHTS = 2  # bind and connect, from version 4
_SCOPES = 2  # abstract sockets and signals, from version 6


class _RulesetAttributes(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


def enter(memory_bytes: int) -> list[str]:
    """Give up what a reader does not need; the names of the measures in force.

    `memory_bytes` is the address space beyond that of the process as it is now.
    """
    in_force = []
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if _leave_network(libc):
            in_force.append("network namespace")
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
            in_force.append("no new privileges")
    _limit_resources(memory_bytes)
    in_force.append("resource limits")
    if sys.platform == "linux" and _forbid_files(libc):
        in_force.append("landlock")
    return in_force


def _limit_resources(memory_bytes: int) -> None:
    _lower(resource.RLIMIT_AS, _address_space_bytes() + memory_bytes)
    _lower(resource.RLIMIT_NOFILE, OPEN_FILES)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NPROC, 0)


def _lower(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (limit, limit))


def _address_space_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as status:  # noqa: PTH123 - a kernel file
        return int(status.read().split()[0]) * _PAGE_BYTES


def _leave_network(libc: ctypes.CDLL) -> bool:
    """Into an empty network namespace; without privileges by way of a user namespace."""
    if libc.unshare(_CLONE_NEWNET) == 0:
        return True
    return os.geteuid() != 0 and libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0


def _forbid_files(libc: ctypes.CDLL) -> bool:
    """No path can be opened, made, removed or run any more; descriptors handed over still work."""
    abi = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ABI_VERSION)
    if abi < 1:
        return False
    attributes = _RulesetAttributes(
        handled_access_fs=(1 << _FILE_RIGHTS.get(abi, _FILE_RIGHTS_NOW)) - 1,
        handled_access_net=(1 << _NETWORK_RIGHTS) - 1 if abi >= 4 else 0,
        scoped=(1 << _SCOPES) - 1 if abi >= 6 else 0,
    )
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = libc.syscall(_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return False
    try:
        restricted: int = libc.syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return restricted == 0
