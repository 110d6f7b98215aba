"""Hosts and frames, any, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from halloo.wire.frame import Control, StreamFrame

__all__ = ["HOSTS", "stream_frames"]

HOSTS = st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16))


def stream_frames(most: int) -> st.SearchStrategy[StreamFrame]:
    """Frames in a stream, with up to ``most`` bytes in them."""
    return st.one_of(
        st.builds(StreamFrame, st.none(), st.integers(0, 0xFFFF), st.binary(max_size=most)),
        st.builds(StreamFrame, st.sampled_from(Control), st.just(0), st.binary(max_size=most)),
    )
