"""Two nodes that can talk: handshake, sealed sessions, repetition until heard, datagrams and streams."""
