"""Addresses that others tell us: which of them can be believed, and which of them belong to one owner.

Whoever has a block of addresses may tell of thousands in it, and whoever speaks to us from the internet may tell of
hosts in our own home that he has never seen.  Here is what the host cache asks before it takes such an address.
"""

from __future__ import annotations

from halloo.base.address import Address

__all__ = ["believable", "is_loopback", "is_private", "neighbourhood", "usable"]

_MAPPED = bytes(10) + b"\xff\xff"  # an IPv4 host in IPv6's clothes: it has an address of its own kind
_LOOPBACK6 = bytes(15) + b"\x01"


def usable(address: Address) -> bool:
    """Whether a supernode can listen there at all: a port, and a host that is one host."""
    host = address.host
    if not address.port:
        return False
    if len(host) == 4:
        return 0 < host[0] < 224
    # A link-local one is of use only with the name of an interface, which an address does not carry.
    return any(host) and host[0] != 0xFF and host[:12] != _MAPPED and not (host[0] == 0xFE and host[1] & 0xC0 == 0x80)


def is_private(host: bytes) -> bool:
    """Whether a host is seen only from near: this machine, its home, its company, its provider's customers."""
    if is_loopback(host):
        return True
    if len(host) == 16:
        return host[0] & 0xFE == 0xFC or (host[0] == 0xFE and host[1] & 0xC0 == 0x80)
    first, second = host[0], host[1]
    return (
        first == 10
        or (first == 192 and second == 168)
        or (first == 172 and second & 0xF0 == 16)
        or (first == 169 and second == 254)
        or (first == 100 and second & 0xC0 == 64)
    )


def is_loopback(host: bytes) -> bool:
    """Whether a host is this machine to itself."""
    return host[0] == 127 if len(host) == 4 else host == _LOOPBACK6


def believable(address: Address, teller: bytes | None) -> bool:
    """Whether ``teller`` (a host; None: somebody of this machine) can know of a supernode at ``address``.

    Who speaks to us from a public host knows nothing of private ones; who is on this machine, or in this home, does.
    """
    if not usable(address):
        return False
    if teller is None or not is_private(address.host):
        return True
    if is_loopback(address.host):
        return is_loopback(teller)
    return is_private(teller)


def neighbourhood(host: bytes) -> bytes | None:
    """What one owner may have whole: the first 16 bits of an IPv4 host, 32 of an IPv6 one; None for private hosts."""
    if is_private(host):
        return None
    return host[:2] if len(host) == 4 else host[:4]
