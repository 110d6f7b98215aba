"""How two nodes reach each other: directly, or by a third node."""
