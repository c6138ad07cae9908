"""The installer's command line for the wallbox: everything docs/installer-protocol.md offers, from a laptop."""
