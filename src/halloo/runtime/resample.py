"""From one sampling rate to another, for whole recordings: a windowed sinc, taken apart into its phases."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

__all__ = ["resampled"]

CROSSINGS = 48  # zero crossings of the sinc on each side: 90 % of the narrower band passes unchanged
KAISER = 8.0  # shape of the window: what lies beyond the band is 80 dB down
GRID = 512  # points of the kernel to a sample: between them a straight line is 100 dB right
CUTOFF = 0.95  # of the narrower band's half: the middle of the filter's slope


def resampled(sound: NDArray[float32], source: int, target: int) -> NDArray[float32]:
    """``sound`` (one channel at ``source`` Hz) at ``target`` Hz, not shifted in time, ``len * target / source`` long.

    Output n lies at n * source / target.  The outputs whose positions have the same fraction share one set of weights,
    and so each phase is one product of a matrix (windows of the input) and a vector.
    """
    import numpy as np

    if source == target or not len(sound):
        return np.asarray(sound, np.float32)
    divisor = gcd(source, target)
    up, down = target // divisor, source // divisor
    length = len(sound) * up // down
    band = CUTOFF * min(1.0, target / source)
    half = int(np.ceil(CROSSINGS / band))
    padded = np.concatenate([np.zeros(half, np.float32), sound, np.zeros(half + 1, np.float32)]).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half)
    taps = np.arange(-half + 1, half + 1)
    # The kernel is computed once, on a fine grid, and read along straight lines: an odd rate has 48,000 phases.
    grid = np.linspace(-half, half, 2 * half * GRID + 1)
    shape = np.i0(KAISER * np.sqrt(np.maximum(0.0, 1.0 - (grid / half) ** 2))) / np.i0(KAISER)
    kernel = band * np.sinc(band * grid) * shape
    out = np.zeros(length, np.float32)
    for phase in range(min(up, length)):
        whole, rest = divmod(phase * down, up)
        weights = np.interp(taps - rest / up, grid, kernel)
        weights /= weights.sum()
        count = (length - phase + up - 1) // up
        # Row r of ``windows`` begins half samples before sample r: its taps -half+1 .. half are in row r + 1.
        rows = windows[whole + 1 :: down][:count]
        for begin in range(0, count, 8192):  # bounds what is copied for the product
            block = rows[begin : begin + 8192] @ weights.astype(np.float32)
            out[phase + begin * up : phase + (begin + len(block)) * up : up][: len(block)] = block
    return out
