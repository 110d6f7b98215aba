"""Every sentence that two nodes can say: declarations only."""
