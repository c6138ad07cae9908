"""The installer's link (docs/installer-protocol.md). All but `server` is in memory only while an app is connected."""
