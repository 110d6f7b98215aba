"""One harness per entrance: ``python -m fuzz.NAME --seconds N --seed S``."""
