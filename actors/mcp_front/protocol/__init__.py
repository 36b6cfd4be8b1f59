"""MCP itself: each part registers its handlers with the SDK's server, in both eras."""
