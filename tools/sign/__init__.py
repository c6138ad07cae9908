"""Signs firmware: makes containers of ROMFS images, shows and verifies them, and makes the keys (R29)."""
