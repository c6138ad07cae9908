"""A charge point's side of OCPP 1.6J for MicroPython; it knows nothing of the station it speaks for."""

VERSION = "0.1"
