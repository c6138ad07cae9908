"""The networks around the simulated wallbox: cable, access point, mobile network, and whether they lead anywhere."""

from plant import check

NAMES = ("lan", "wlan", "modem")
_PORTS = (1, 65_535)


class Surroundings:
    """What one link finds. `drops` counts how often it was lost."""

    def __init__(self):
        self.up = True
        # Whether it leads anywhere, and whether an address is given to who asks for one.
        self.leads = True
        self.dhcp = True
        self.password_ok = True
        # Name servers that the network tells of, as (address, port).
        self.dns = ()
        self.drops = 0

    def change(self, up=None, leads=None, dhcp=None, password_ok=None, dns=None) -> bool:
        """Change what is not None -> whether connections over it are lost; ValueError, and nothing has changed."""
        for field, value in (("up", up), ("leads", leads), ("dhcp", dhcp), ("password_ok", password_ok)):
            if value is not None:
                check.flag(field, value)
        if dns is not None:
            self.dns = _servers(dns)
        lost = up is False or leads is False or dhcp is False
        self.drops += up is False
        self.up = self.up if up is None else up
        self.leads = self.leads if leads is None else leads
        self.dhcp = self.dhcp if dhcp is None else dhcp
        self.password_ok = self.password_ok if password_ok is None else password_ok
        return lost


def _servers(texts) -> tuple:
    found = []
    for text in texts if isinstance(texts, list) else (texts,):
        address, _, port = text.partition(":") if isinstance(text, str) else ("", "", "")
        if not address or not port.isdigit() or not _PORTS[0] <= int(port) <= _PORTS[1]:
            check.refuse("dns", texts, 'a list of name servers such as ["127.0.0.1:5353"]')
        found.append((address, int(port)))
    return tuple(found)
