"""Stands in for the board's module `slots` (boards/esp32s3/modslots.c): partitions as read-only memory."""

import esp32


def map(label):  # noqa: A001
    """A copy of the partition as it is now; OSError ENOENT."""
    partition = esp32.Partition(label)
    content = bytearray(partition.info()[3])
    partition.readblocks(0, content)
    return memoryview(bytes(content))
