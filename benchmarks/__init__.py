"""What Ratchet costs, measured beside what one would have without it: `python -m benchmarks`."""
