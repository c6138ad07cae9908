"""The world around the simulated board as physics; it takes no decision that belongs to the firmware."""
