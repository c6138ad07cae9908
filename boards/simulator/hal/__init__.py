"""Devices of the simulated board: they convert between the firmware's calls and the plant, no more."""
