"""A chain of signs of life: who knows its root can show, each three minutes anew, that he is there.  Pure.

    root --> ... --> link --> link --> first link, in a signed record      each three minutes one link towards the root

A link that leads to an earlier one by ``n`` digests was made as many times three minutes after it, by who knows the
root: nobody can renew the age of what somebody else has signed.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["LINK_SIZE", "LONGEST_CHAIN", "PULSE_EVERY", "linked", "links_between"]

LINK_SIZE = 16  # bytes of a link: nobody guesses 128 bits
PULSE_EVERY = 180  # seconds of the wall clock for one link of the chain
LONGEST_CHAIN = 480  # links: a day; then a new one is begun, and making one takes half a millisecond


def linked(digest: Callable[[bytes], bytes], pulse: bytes, links: int) -> bytes:
    """``links`` links further from the root of a chain."""
    for _ in range(links):
        pulse = digest(b"halloo pulse\n" + pulse)[:LINK_SIZE]
    return pulse


def links_between(digest: Callable[[bytes], bytes], earlier: bytes, later: bytes, most: int) -> int:
    """How many links lie between two pulses of one chain; 0 where they are equal, or ``later`` does not lead there."""
    if len(earlier) != LINK_SIZE or len(later) != LINK_SIZE:
        return 0
    for links in range(1, min(most, LONGEST_CHAIN) + 1):
        later = linked(digest, later, 1)
        if later == earlier:
            return links
    return 0
