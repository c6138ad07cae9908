"""The production tool: gives a wallbox its serial number, passkey and key, keeps a register, and makes the label."""
