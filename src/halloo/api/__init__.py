"""The friendly face: one command language for all doors."""
