"""Who one is: the login server, and how a user proves himself to it."""
