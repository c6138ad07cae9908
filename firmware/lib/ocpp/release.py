"""Lets go of the modules that read certificates; a function of its own, borrowed by those who use them."""

import sys


def release() -> None:
    """Let go of what reads certificates; who still uses it keeps it."""
    for name in ("x509", "rsa", "p256", "asn1", "ocpp.certificates"):
        sys.modules.pop(name, None)
    package = sys.modules["ocpp"]
    if hasattr(package, "certificates"):
        delattr(package, "certificates")
