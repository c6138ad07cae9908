"""What runs before the firmware: chooses the slot and starts it. Frozen into the interpreter, it is never updated.

The firmware in a slot uses `record` and `header` of here, so that it writes what this very loader reads.
"""

# The slot that was started, 0 or 1; None: the firmware runs from its source tree.
running = None
