"""What the port runs before boot.py. Its own would mount the file system at `/`; here `hal.flash` does, and repairs it.

The port's `inisetup.py` waits for ever when it finds neither littlefs nor blank flash, as after a formatting that was
cut off: such a box would not start any more.
"""
