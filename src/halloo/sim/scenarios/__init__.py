"""The scenarios, one file each: what happens to a network, and what is asked of it."""
