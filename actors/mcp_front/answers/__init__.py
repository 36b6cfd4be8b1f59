"""What agents read: answers of bounded size, cause first, with the next call. Pure functions."""
