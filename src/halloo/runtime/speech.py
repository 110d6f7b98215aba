"""The two recordings of human speech that come with Halloo, for demonstrations and measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import halloo
from halloo.base.errors import UsageError

__all__ = ["speech_file"]

_NAMES = ("caller", "callee")


def speech_file(who: Literal["caller", "callee"]) -> Path:
    """About ten seconds of one voice: WAV, 16,000 Hz, one channel, 16 bit; two speakers, two languages.

    Raises UsageError for any other name, or where the file was not installed.
    """
    if who not in _NAMES:
        raise UsageError(f"there is speech of {' and '.join(_NAMES)}, not of {who!r}")
    path = Path(halloo.__file__).parent / "speech" / f"{who}.wav"
    if not path.is_file():
        raise UsageError(f"{path} is missing; install Halloo again")
    return path
