"""One module or package per actor process: thin shells around the pure parts in `ratchet`."""
