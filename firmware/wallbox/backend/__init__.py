"""The central system: binds the package `ocpp` to the wallbox (R25, R27)."""
