"""What is frozen into the firmware of this board beside the wallbox itself (MicroPython's manifest language)."""

# The port's Counter, without its espnow and apa106; its start has one of its own below (frozen/_boot.py).
freeze("$(PORT_DIR)/modules", "machine.py")  # noqa: F821
include("$(MPY_DIR)/extmod/asyncio")  # noqa: F821
require("neopixel")  # noqa: F821
# aioble by its parts: its package imports what it finds, and central, client and L2CAP would only take heap.
require("aioble-peripheral")  # noqa: F821
require("aioble-server")  # noqa: F821
require("aioble-security")  # noqa: F821
# What runs first and starts a slot (docs/update.md), with the drivers that it needs.
freeze("frozen")  # noqa: F821
package("loader", base_path="../../firmware")  # noqa: F821
package("hal", ("__init__.py", "pins.py", "nvs.py", "slots.py"), base_path=".")  # noqa: F821
