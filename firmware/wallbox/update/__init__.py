"""Updates of the firmware: receive a container into the slot that does not run, try it, keep it or go back (R29)."""
