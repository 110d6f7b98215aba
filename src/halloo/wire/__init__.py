"""Bytes to frames and typed lists, and back; pure functions, no secrets."""
