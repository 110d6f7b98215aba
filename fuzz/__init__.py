"""Harnesses: bytes and sequences that nobody honest sends, thrown at every entrance.

    python -m fuzz [--seconds N] [--seed S] [--only NAME]... [--json]     all of them, N seconds together
    python -m fuzz.NAME [--seconds N] [--seed S] [--round R]              one of them; --round plays one round again

Each harness is a file with one function ``attack(run)``, which makes executions as long as ``run.on()`` says so.
"""
