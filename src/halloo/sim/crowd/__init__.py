"""The third degree of truth: a crowd of nodes as rows of arrays, of which those are looked at that do something."""
