"""What a person typed, as the bytes that a digest takes: the same for everybody who means the same."""

from __future__ import annotations

import unicodedata

from halloo.base.errors import UsageError

__all__ = ["typed"]


def typed(text: str) -> bytes:
    """A name or a password in UTF-8, by the OpaqueString profile of RFC 8265.

    Every space becomes the ASCII one, then Unicode NFC: an é is the same from a keyboard that has the letter and from
    one that puts the accent on an e.  Case, width and everything else stay as they are.  For a folded name, which is
    in NFC and has no spaces, that changes nothing.

    Raises:
        UsageError: it is no text (a terminal handed on bytes that its own character set does not know), or it holds
            a control character, which two terminals would not hand on alike.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError("a name or a password holds bytes that are no text; is the terminal set to UTF-8?") from None
    if any(unicodedata.category(letter) == "Cc" for letter in text):
        raise UsageError("a password cannot hold control characters such as a tab or the end of a line")
    spaced = "".join(" " if unicodedata.category(letter) == "Zs" else letter for letter in text)
    return unicodedata.normalize("NFC", spaced).encode()
