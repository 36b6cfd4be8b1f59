"""Machines that join: their names, their keys, the token that lets one in, and who may be what. This only says so."""
