"""The two faults and their kinds: what a peer did wrong, and what our own caller did wrong.

Anything else that is raised is a bug of ours and must be loud.  The text of an error is written for
the person who reads it.
"""

__all__ = ["HallooError", "Malformed", "PeerError", "Refused", "Unusable", "UsageError"]


class HallooError(Exception):
    """All that this project raises on purpose."""


class PeerError(HallooError):
    """The other side broke the protocol.  What it sent is dropped, or the link to it closed."""


class Malformed(PeerError):
    """Bytes that no honest sender produces: cut short, out of bounds, or of an unknown shape."""


class Refused(PeerError):
    """What the other side sent is well formed, but its proof does not hold (seal, signature, credential)."""


class UsageError(HallooError):
    """Our caller asked for something that cannot be done in the present state, or with these values."""


class Unusable(HallooError):
    """Something of this machine cannot be used: a damaged file, a port in use, a folder that may not be written."""
