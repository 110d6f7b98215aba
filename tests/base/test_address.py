"""Addresses, as people write them and as they are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halloo.base.address import Address, Channel, Peer, Stream, Wire
from halloo.base.errors import UsageError

HOSTS = st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16))


@given(st.builds(Address, HOSTS, st.integers(0, 0xFFFF)))
def test_what_is_written_is_read_again(address: Address) -> None:
    again = Address.parse(str(address))
    assert again.port == address.port
    assert again.ip == address.ip or again.ip in address.ip  # an IPv4 host inside IPv6 is unwrapped


@pytest.mark.parametrize(
    "text", ["", ":", "192.0.2.1", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:-1", "host.example:80", "1:2:3", "[::1]"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError, match="not an address"):
        Address.parse(text)


@pytest.mark.parametrize(("host", "port"), [(b"", 1), (bytes(5), 1), (bytes(4), -1), (bytes(16), 0x10000)])
def test_what_cannot_be_one(host: bytes, port: int) -> None:
    with pytest.raises(UsageError, match="not an address"):
        Address(host, port)


def test_an_ipv4_host_inside_ipv6_is_the_ipv4_host() -> None:
    assert Address.of("::ffff:192.0.2.1", 7) == Address.parse("192.0.2.1:7")
    assert str(Address.of("fe80::1%eth0", 7)) == "[fe80::1]:7"


def test_routes_for_people() -> None:
    address = Address.parse("192.0.2.1:7")
    assert [str(route) for route in (Wire(address), Stream(3, address), Channel(Peer(5), 9))] == [
        "udp 192.0.2.1:7",
        "tcp 192.0.2.1:7",
        "relay link 5",
    ]
