"""Where the fields of a covered datagram stand, in each suite; the counterpart of the pictures in ``crypto/``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from halloo.crypto.suite import Covered, Layout

__all__ = ["Place", "places"]

_VECTOR, _CHECK, _NONCE = 4, 4, 16  # bytes


@dataclass(frozen=True, slots=True)
class Place:
    """Some bytes of a datagram, by name."""

    name: str
    size: int
    meaning: str


def places(suite: str, datagram: bytes, covered: Covered, layout: Layout) -> list[Place]:
    """The places of a datagram after its first three bytes and the head, in order; together they are the rest of it."""
    return _SHAPES[suite](datagram, covered, layout)


def _classic(datagram: bytes, covered: Covered, layout: Layout) -> list[Place]:
    rest = len(datagram) - 3 - len(covered.head)
    if not layout.hidden:
        return _placed(("body", rest, "in the clear" if covered.kind in (0x05, 0x07) else "sealed already"))
    vector = _VECTOR if layout.nonce_at < 0 else 0
    return _placed(
        ("vector", vector, "in the clear; the key follows from it, the hosts and the frame id"),
        ("check", _CHECK, f"checksum of the uncovered body, {datagram[-rest + vector :][:_CHECK].hex()}"),
        ("body", rest - vector - _CHECK, "under the cloak"),
    )


def _modern(datagram: bytes, covered: Covered, layout: Layout) -> list[Place]:
    rest = len(datagram) - 3 - len(covered.head)
    if layout.hidden:
        bound = "the same, over both hosts too" if layout.bound else "the same; no hosts are in it"
        return _placed(
            ("body", rest - 2 * _CHECK - _NONCE, "under the cloak"),
            ("check", _CHECK, "keyed with the network's cloak key"),
            ("bound check", _CHECK, bound),
            ("nonce", _NONCE, "fresh; also masks the head"),
        )
    if len(covered.body) == rest:
        return _placed(("body", rest, "sealed already; its last 16 bytes mask the head"))
    return _placed(("body", rest - _NONCE, "under the cloak"), ("nonce", _NONCE, "fresh; also masks the head"))


def _plain(datagram: bytes, covered: Covered, layout: Layout) -> list[Place]:
    rest = len(datagram) - 3 - len(covered.head)
    if len(datagram) == 3:
        return []
    bound, check = _CHECK * layout.bound, _CHECK * layout.hidden
    return _placed(
        ("bound check", bound, "over both hosts"),
        ("check", check, "over frame id and body"),
        ("body", rest - bound - check, "as it is"),
    )


def _placed(*found: tuple[str, int, str]) -> list[Place]:
    return [Place(name, size, meaning) for name, size, meaning in found if size > 0]


_SHAPES: dict[str, Callable[[bytes, Covered, Layout], list[Place]]] = {
    "classic": _classic,
    "modern": _modern,
    "plain": _plain,
}
