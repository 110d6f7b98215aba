"""What a person typed, as the bytes that a digest takes."""

from __future__ import annotations

from halloo.base.errors import UsageError

__all__ = ["typed"]


def typed(text: str) -> bytes:
    """A name or a password in UTF-8.

    Raises:
        UsageError: it is no text: a terminal handed on bytes that its own character set does not know.
    """
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise UsageError("a name or a password holds bytes that are no text; is the terminal set to UTF-8?") from None
