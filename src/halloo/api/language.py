"""The command language: lines of text in the form of the classic public API.  Pure.

    CALL bob                     -> CALL 1 STATUS UNPLACED, then notifications: CALL 1 STATUS RINGING …
    ALTER CALL 1 ANSWER|HANGUP   -> ALTER CALL 1 HANGUP
    ALTER CALL 1 SET_INPUT FILE="/x.wav"
    GET CALL 1 STATUS            -> CALL 1 STATUS INPROGRESS
    SEARCH USERS bob             -> USERS bob, bobby, …      by parts of names, city, or an e-mail address
    SEARCH HALLOO USERS 20 bob   -> HALLOO USERS {…}         the same, with how far the search came
    SET HALLOO PROFILE {…}       -> HALLOO PROFILE {…}       what the user tells of himself
    SET HALLOO PRESENCE {…}      -> HALLOO PRESENCE {…}      state, mood, whom one allows, whom one watches
    GET CONNSTATUS               -> CONNSTATUS ONLINE
    GET HALLOO STATUS            -> HALLOO STATUS {…}        read-only snapshots, our own: JSON after the words
    PING                         -> PONG
    ERROR 2 Unknown command

Of those who are watched, notifications tell: USER bob ONLINESTATUS AWAY, and HALLOO BUDDY {…} with its age.

A line may begin with ``#tag``, which its reply repeats.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Line", "Trouble", "files_of", "parse"]

MAX_LINE = 65_536  # bytes of one line


class Trouble(Exception):
    """What is answered by an ERROR line: its number and words (numbers of the classic API)."""

    def __init__(self, number: int, words: str) -> None:
        super().__init__(f"ERROR {number} {words}")


@dataclass(frozen=True, slots=True)
class Line:
    """One command: its tag (with the #, or empty) and its words, the first in capitals."""

    tag: str
    words: tuple[str, ...]
    text: str
    """The line without its tag, as it was written."""

    def answered(self, reply: str) -> str:
        """The reply with the tag of the command."""
        return f"{self.tag} {reply}" if self.tag else reply


def parse(line: str) -> Line:
    """Read one line.  Raises Trouble for an empty one."""
    text = line.strip()
    tag = ""
    if text.startswith("#"):
        tag, _, text = text.partition(" ")
        text = text.strip()
    words = tuple(text.split())
    if not words:
        raise Trouble(1, "General syntax error")
    return Line(tag, (words[0].upper(), *words[1:]), text)


_TARGET = re.compile(r'([A-Za-z_]+)\s*=\s*"((?:[^"]|"")*)"')


def files_of(text: str) -> dict[str, str]:
    """The targets of a SET_INPUT or SET_OUTPUT: ``FILE="/x.wav", SOUNDCARD="default"``, keys in capitals."""
    return {key.upper(): value.replace('""', '"') for key, value in _TARGET.findall(text)}
