"""What the supervisor is made of: child specs, restart policy, states, process mechanics, the client protocol."""
