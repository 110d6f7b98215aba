"""The keys of one link, in a form that can be kept: for whoever wants to read a capture of his own traffic.

A node keeps these nowhere by itself.  Whoever gave its ``Persona`` a ``confide`` is told them once per link, when they
are agreed, on either side:

    link SUITE INITIATOR RESPONDER INITIATORS-SECRET RESPONDERS-SECRET TRANSCRIPT

one line, decimal numbers and then hexadecimal bytes: the inputs of the suite's ``agree``, and the numbers by which the
two sides address the link.
"""

from __future__ import annotations

from dataclasses import dataclass

from halloo.base.errors import Malformed

__all__ = ["LinkKeys"]

MAX_LINE = 1_024  # characters: numbers, two secrets of 32 bytes and a digest of 32 are some 230
_WORD = "link"


@dataclass(frozen=True, slots=True)
class LinkKeys:
    """What the keys of one link follow from."""

    suite: int
    initiator: int
    """The number of the link on the side that began: what is said to it carries this number."""
    responder: int
    initiators: bytes
    """The initiator's secret."""
    responders: bytes
    transcript: bytes

    def to_line(self) -> str:
        """One line, without its end."""
        numbers = f"{self.suite} {self.initiator} {self.responder}"
        return f"{_WORD} {numbers} {self.initiators.hex()} {self.responders.hex()} {self.transcript.hex()}"

    @classmethod
    def from_line(cls, line: str) -> LinkKeys:
        """Read one line.  Raises Malformed."""
        words = line.split() if len(line) <= MAX_LINE else []
        if len(words) != 7 or words[0] != _WORD:
            raise Malformed("not a line of a link's keys: 'link', three numbers, two secrets and a transcript")
        try:
            suite, initiator, responder = (int(word) for word in words[1:4])
            secrets = [bytes.fromhex(word) for word in words[4:]]
        except ValueError:
            raise Malformed("a line of a link's keys holds what is no number or no hexadecimal") from None
        if not 0 <= suite <= 0xFF or not (0 <= initiator < 1 << 32 and 0 <= responder < 1 << 32):
            raise Malformed("a number in a line of a link's keys is out of its bounds")
        return cls(suite, initiator, responder, *secrets)
