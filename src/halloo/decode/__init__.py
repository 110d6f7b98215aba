"""Explains bytes of our own traffic: what stands where, and what it means.  Pure; nothing here speaks to anybody."""
