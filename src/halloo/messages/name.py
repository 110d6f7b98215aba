"""Account names: the one rule by which two spellings are the same name.

Unicode NFKC, then case folding, then NFC; letters, digits, and ``. - _`` inside; 2 to 32 characters; it begins with
a letter or digit and so ends.  "Ada", "ADA" and "ａｄａ" are one name.
"""

from __future__ import annotations

import unicodedata

from halloo.base.errors import UsageError

__all__ = ["MAX_NAME", "folded"]

MAX_NAME = 32  # characters: fits a line of a contact list and a credential of 200 bytes
_MARKS = ".-_"


def folded(name: str) -> str:
    """The one spelling under which a name is known in the network.

    Raises:
        UsageError: the text cannot be a name; says why.
    """
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name.strip()).casefold())
    if not 2 <= len(text) <= MAX_NAME:
        raise UsageError(f"a name has 2 to {MAX_NAME} characters, {name[:64]!r} has {len(text)}")
    wrong = [letter for letter in text if not (letter.isalnum() or letter in _MARKS)]
    if wrong:
        raise UsageError(f"a name is made of letters, digits and . - _ ; {name!r} also holds {wrong[0]!r}")
    if text[0] in _MARKS or text[-1] in _MARKS:
        raise UsageError(f"a name begins and ends with a letter or digit, unlike {name!r}")
    return text
