"""A small OCPP 1.6 central system: the wire, what it knows of its boxes, and a web page."""
