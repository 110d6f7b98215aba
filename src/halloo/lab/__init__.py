"""Real processes of the very program, on loopback or on made-up wires."""
