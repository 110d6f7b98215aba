"""The crowd that carries the directory: host cache, joining, supernodes, records, search."""
