"""The virtual world: the very same stations under virtual time, with loss, delay and a seed."""
