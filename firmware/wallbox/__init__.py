"""The wallbox firmware: everything between the hardware layer and the outside, with no port module in it."""

VERSION = "0.1.0"
