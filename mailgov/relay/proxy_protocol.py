"""The PROXY protocol, version 2: what a load balancer says of the client behind it.

Binary only: version 1 is a line of text that looks like a command. A balancer that says something
else is not one of ours, whatever its address, and is not served.
"""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
START_OCTETS = 16
MAX_REST_OCTETS = 4096  # addresses and what else may follow them; nobody needs more

_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21
_START = struct.Struct("!12sBBH")


class ProxyError(Exception):
    """What came is no header of version 2."""


@dataclass(frozen=True, slots=True)
class Start:
    """The first octets: whether the balancer speaks for itself, and how much follows."""

    is_local: bool  # a health check of the balancer's own
    family: int
    rest_octets: int


def read_start(octets: bytes) -> Start:
    """The fixed part of a header, `START_OCTETS` long. Raises ProxyError."""
    signature, command, family, rest_octets = _START.unpack(octets)
    if signature != SIGNATURE:
        raise ProxyError("no signature")
    if command not in (_LOCAL, _PROXY):
        raise ProxyError(f"version and command {command:#04x}")
    if rest_octets > MAX_REST_OCTETS:
        raise ProxyError(f"{rest_octets} octets")
    return Start(command == _LOCAL, family, rest_octets)


def read_source(start: Start, rest: bytes) -> tuple[IPv4Address | IPv6Address, int]:
    """Address and port of the client; what follows the addresses is skipped. Raises ProxyError."""
    if start.family == _TCP4 and len(rest) >= 12:
        return IPv4Address(rest[:4]), int.from_bytes(rest[8:10], "big")
    if start.family == _TCP6 and len(rest) >= 36:
        ip = IPv6Address(rest[:16])
        return ip.ipv4_mapped or ip, int.from_bytes(rest[32:34], "big")
    raise ProxyError(f"family {start.family:#04x} with {len(rest)} octets")
