"""Roles, and the suites that fill them.  The only room that names an algorithm; bytes in, bytes out."""
