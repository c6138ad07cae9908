"""What is frozen into the firmware of this board beside the wallbox itself (MicroPython's manifest language)."""

# aioble by its parts: its package imports what it finds, and central, client and L2CAP would only take heap.
require("aioble-peripheral")  # noqa: F821
require("aioble-server")  # noqa: F821
require("aioble-security")  # noqa: F821
