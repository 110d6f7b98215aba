"""The key log: the keys of every link appended to a file, when the environment names one.

    HALLOO_KEY_LOG=FILE halloo up

It is for reading one's own traffic with ``halloo decode CAPTURE --keys FILE``.  Whoever has the file and a capture can
read and hear everything in it, so that is said on standard error, and the file is made readable for its owner alone.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable

from halloo.base.errors import Unusable
from halloo.link.keys import LinkKeys

__all__ = ["VARIABLE", "key_log"]

VARIABLE = "HALLOO_KEY_LOG"
_WARNING = "Warning: {path} gets the keys of every link ({variable}): whoever has that file can read and hear them all."


def key_log() -> Callable[[LinkKeys], None] | None:
    """Who is told the keys of links; None unless ``HALLOO_KEY_LOG`` names a file.

    Raises:
        Unusable: the file cannot be written, or others may read it and that cannot be changed.
    """
    path = os.environ.get(VARIABLE, "")
    if not path:
        return None
    _append(path, "")
    sys.stderr.write(_WARNING.format(path=path, variable=VARIABLE) + "\n")
    sys.stderr.flush()

    def confide(keys: LinkKeys) -> None:
        try:
            _append(path, keys.to_line() + "\n")
        except Unusable as fault:  # a full disk must not end a call
            sys.stderr.write(f"Warning: {fault}\n")

    return confide


def _append(path: str, text: str) -> None:
    """Add text in one write, so that the lines of several processes do not mix."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISREG(mode) and stat.S_IMODE(mode) & 0o077 and os.name == "posix":
                os.chmod(path, 0o600)
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
    except OSError as fault:
        raise Unusable(f"the key log {path} ({VARIABLE}) cannot be written: {fault.strerror}") from None
