"""When the charge point's certificate is renewed: functions of Security, loaded to look and when asked."""

from os import listdir

from micropython import const

from ocpp.errors import OcppError
from ocpp.rare import borrow
from ocpp.security import LOOK_S

# Whitepaper, A03: a certificate that ends within a month is renewed.
_RENEW_S = const(30 * 86400)
# The charge point's certificates, see certificates.py. Most charge points have none, and need not load what reads them.
_OWN = ("ocert.client", "ocert.next")

release = borrow("release").release


def look(self) -> None:
    """Once a day: keep the time, use the next certificate if it is due, renew the present one if its time ends."""
    clock = self.point.clock
    now_s, utc_s = clock.uptime_s(), clock.utc_s()
    if utc_s is None or (self._looked_s is not None and now_s - self._looked_s < LOOK_S):
        return
    self._looked_s = now_s
    try:
        borrow("passed").keep(self.point, self.point.link.ssl, utc_s)
        files = listdir(self.point.folder)
        if not any(name in files for name in _OWN):
            return
        changed, left_s = borrow("signing").look(self.point, utc_s)
    except (ValueError, OSError, MemoryError) as error:
        self.point.log.add("error", "ocpp", "certificate_lost", "own certificate: %s" % error)
        return
    finally:
        release()
    if changed:
        self.point.link.reconnect()
    elif left_s is not None and left_s < _RENEW_S:
        self.point.start(sign_certificate, self)


async def sign_certificate(self, triggered: bool = False) -> None:
    """Make a key pair and ask the central system to sign its certificate (whitepaper, A02 and A03).

    What it has triggered may be sent before the registration.
    """
    if self._signing:
        return
    self._signing = True
    try:
        await borrow("signing").ask(self.point, triggered)
    except (OcppError, OSError, ValueError) as error:
        self.point.log.add("warning", "ocpp", "not_signed", "no certificate could be asked for: %s" % error)
    finally:
        self._signing = False
        release()
