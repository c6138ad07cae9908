"""Takes the URLs apart that a charge point is given; it opens nothing."""

from ocpp.errors import OcppError

_PORTS = {"ws": 80, "wss": 443, "http": 80, "https": 443, "ftp": 21}
# What may stand unescaped in path and query (RFC 3986, 3.3 and 3.4), and "%", which begins an escape.
_PLAIN = "-._~!$&'()*+,;=:@/?%"


class UrlError(OcppError):
    """A text that is no URL of an allowed kind; it never shows what may be a password."""


class Url:
    """`scheme`, `user` and `password` (unescaped, None when absent), `host`, `port`, `target` (path, query)."""

    def __init__(self, scheme: str, user, password, host: str, port: int, target: str):
        self.scheme = scheme
        self.user = user
        self.password = password
        self.host = host
        self.port = port
        self.target = target

    @property
    def secure(self) -> bool:
        """Whether TLS is asked for."""
        return self.scheme in ("wss", "https")

    def authority(self) -> str:
        """Host and port as a header `Host` names them (RFC 9110, 7.2)."""
        host = "[%s]" % self.host if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else "%s:%d" % (host, self.port)


def parse(text: str, schemes: tuple) -> Url:
    """Take a URL apart (RFC 3986); UrlError when it is none or of another scheme."""
    scheme, found, rest = text.partition("://")
    scheme = scheme.lower()
    if not found or scheme not in schemes:
        raise UrlError("url: '%s...' is not allowed; allowed: %s" % (scheme[:10], ", ".join(schemes)))
    rest = rest.partition("#")[0]
    end = min(place for place in (rest.find("/"), rest.find("?"), len(rest)) if place >= 0)
    login, found, place = rest[:end].rpartition("@")
    user = password = None
    if found:
        user, found, password = login.partition(":")
        user = unescaped(user)
        password = unescaped(password) if found else None
    host, port = _host_and_port(place, _PORTS[scheme])
    target = rest[end:]
    return Url(scheme, user, password, host, port, escaped(target if target[:1] == "/" else "/" + target))


def _host_and_port(place: str, port: int) -> tuple:
    host, _, digits = place.partition(":")
    if place[:1] == "[" and "]" in place:
        host, _, digits = place[1:].partition("]")
        digits = digits[1:]
    if digits:
        port = int(digits) if digits.isdigit() else 0
    if not host or not 1 <= port <= 65535 or any(ord(char) <= 0x20 for char in host):
        raise UrlError("url: host and port '%s' are not allowed" % place[:60])
    return host, port


def escaped(text: str) -> str:
    """`text` with everything percent-encoded that may not stand in path or query; escapes in it are left alone."""
    if all(_is_plain(ord(char)) for char in text):
        return text
    return "".join(chr(byte) if _is_plain(byte) else "%%%02X" % byte for byte in text.encode())


def _is_plain(code: int) -> bool:
    return 0x20 < code < 0x7F and (chr(code).isalpha() or chr(code).isdigit() or chr(code) in _PLAIN)


def unescaped(text: str) -> str:
    """`text` without its percent-encoding (RFC 3986, 2.1); UrlError when it is none or not UTF-8."""
    if "%" not in text:
        return text
    parts = text.split("%")
    try:
        data = parts[0].encode()
        for part in parts[1:]:
            data += bytes((int(part[:2], 16),)) + part[2:].encode()
        return data.decode()
    except ValueError:
        raise UrlError("url: an escape is not allowed; allowed: % and two hex digits, together UTF-8")
