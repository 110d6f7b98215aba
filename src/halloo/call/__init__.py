"""One call, from the first ring to goodbye."""
