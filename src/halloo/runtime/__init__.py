"""The real world: sockets, files, the clock, sound."""
