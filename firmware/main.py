"""Started after boot.py: builds the wallbox and runs it until a reset."""

import asyncio

from wallbox.app import App

app = App()
asyncio.run(app.run())
