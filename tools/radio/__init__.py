"""The simulated wallbox's radio: bumble's Bluetooth stack between the firmware's link and virtual phones."""
