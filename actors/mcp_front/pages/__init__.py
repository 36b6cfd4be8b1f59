"""Pages for people: what the tools answer, as HTML that works in any browser without a script."""
