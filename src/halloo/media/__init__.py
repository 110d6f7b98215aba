"""Sound: frames, packets, the buffer that puts them back in order and time, and how well it went."""
