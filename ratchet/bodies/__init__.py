"""The bodies of Ratchet's messages, by who is asked; `ratchet.messages` has the table of what carries them."""
