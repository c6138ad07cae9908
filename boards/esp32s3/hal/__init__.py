"""The board's hardware, one module a device; no module here takes a decision."""
