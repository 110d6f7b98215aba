"""Handshakes that others have begun and not ended: how many there may be, and who has to show where he is first.

    stranger                                    us, when many knock
      | -- Hello -----------------------------> |   a digest is all that it costs
      | <- HelloRetry: cookie ----------------- |   sent to where the Hello claims to come from
      | -- Hello, cookie ---------------------> |   so he is there: now the answer is worth its price
      | <- HelloAnswer ------------------------ |

An answer costs two encapsulations' worth of time and a signature.  As long as few knock, it is given at once; when
many do, only to who can hear us at the address he sends from, and to no address more than to others.  A cookie is made
of the Hello, its source and a secret of ours, so that nothing is kept for whoever does not come back.

Who resumes a link is counted here as well until he has shown where he is, but needs no cookie: his ticket is dearer to
get than an answer to make, and serves once.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from random import Random

from halloo.base.address import Channel, Route, Wire, prefix_of
from halloo.base.errors import Refused
from halloo.crypto.suite import Digest
from halloo.link.onelink import OneLink
from halloo.messages.link import Hello, HelloRetry, Resume

__all__ = ["Strangers"]

MAX_HALF_OPEN = 256  # handshakes of strangers held at once; the oldest goes first
BUSY = 32  # of them, from which on a cookie is asked for: far more than come in a round trip on a good day
MAX_OF_HOST = 16  # of one host (IPv6: its first 64 bits), or by one relay
_COOKIE = 16  # bytes


class Strangers:
    """The half-open links of one node, by route and the other side's number."""

    def __init__(self, digest: Digest, rng: Random) -> None:
        self._digest = digest
        self._secret = rng.randbytes(32)
        self._links: OrderedDict[tuple[Route, int], OneLink] = OrderedDict()
        self._by_host: Counter[bytes] = Counter()

    def __len__(self) -> int:
        return len(self._links)

    def find(self, route: Route, hello: Hello | Resume) -> OneLink | None:
        """The link that this Hello or Resume began before."""
        return self._links.get((route, hello.link))

    def examine(self, route: Route, hello: Hello) -> HelloRetry | None:
        """What has to be said to a new Hello before it is answered; None when it may be.

        Raises:
            Refused: its host has too many handshakes open already, or the cookie is none of ours.
        """
        self.room(route)
        if not isinstance(route, Wire) or len(self._links) < BUSY:
            return None
        cookie = self._cookie(route, hello)
        if not hello.cookie:
            return HelloRetry(to=hello.link, cookie=cookie)
        if hello.cookie != cookie:
            raise Refused("a cookie that is none of ours")
        return None

    def room(self, route: Route) -> None:
        """Raises Refused where the host behind a route has too many handshakes open already."""
        if self._by_host[_host(route)] >= MAX_OF_HOST:
            raise Refused("too many handshakes of one host")

    def add(self, link: OneLink) -> OneLink | None:
        """Take one in; the one that has to go for it, if there is no room."""
        oldest = next(iter(self._links.values())) if len(self._links) >= MAX_HALF_OPEN else None
        self._links[_key(link)] = link
        self._by_host[_host(link.route)] += 1
        return oldest

    def remove(self, link: OneLink) -> None:
        """It stands, or is given up.  Harmless when it was not here."""
        if self._links.pop(_key(link), None) is not None:
            host = _host(link.route)
            self._by_host[host] -= 1
            if not self._by_host[host]:
                del self._by_host[host]

    def _cookie(self, route: Wire, hello: Hello) -> bytes:
        source = route.address.host + route.address.port.to_bytes(2, "big") + hello.link.to_bytes(4, "big")
        return self._digest(self._secret + source + hello.envelope)[:_COOKIE]


def _key(link: OneLink) -> tuple[Route, int]:
    return link.route, int.from_bytes(link.theirs, "big")


def _host(route: Route) -> bytes:
    """What handshakes are counted by."""
    if isinstance(route, Channel):
        return b"relay" + route.hop.to_bytes(8, "big")
    return prefix_of(route.address.host)
