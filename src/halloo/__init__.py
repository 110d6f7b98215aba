"""Halloo: a telephone network made of its users' own machines."""

__version__ = "0.1.0"
