"""Puts a firmware into a slot over the service port (R29)."""
