"""What is kept of what Ratchet stores, and how the rest goes without anybody waiting for it."""
