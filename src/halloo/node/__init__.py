"""The house put together: the mind of a node, and the station that gives it an ear."""
