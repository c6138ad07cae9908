"""The certificates and keys of a charge point on flash; it is loaded on demand and judges none of them.

Files in the point's folder, each whole or not there (written aside, checksummed, renamed):
    ocert.c<n> .m<n>   roots of central systems, of the manufacturer; from 100 on those that a central system installed
    ocert.f0           the former root of the central system, until a connection shows that the new one does
    ocert.client       the charge point's own key and certificate chain; ocert.former the ones before it
    ocert.next         those that are not valid yet
    ocert.pending      the key that a signing request was made for
A file of key and chain is the elements of DER one after the other: both change in one rename. Keys are not encrypted:
the chip's encryption of flash has to protect them. They are never given out but to TLS.
"""

import os
from binascii import crc32

from micropython import const

CENTRAL = "c"
MAKER = "m"
FORMER = "f"
KINDS = {"CentralSystemRootCertificate": CENTRAL, "ManufacturerRootCertificate": MAKER}

_PREFIX = "ocert."
_ASIDE = ".new"
_CLIENT = "client"
_FORMER_CLIENT = "former"
_NEXT = "next"
_PENDING = "pending"
_CHECK_BYTES = const(4)
# Numbers from here on are of roots that a central system has installed; four are kept at most.
_INSTALLED = const(100)
# A chain of three certificates of 4,096-bit RSA and a key take half of it; more would be no certificate.
_FILE_BYTES = const(10000)
_ENOENT = const(2)


class Store:
    """The certificate store in a folder; OSError when flash refuses to write, damaged files are logged and left out."""

    def __init__(self, folder: str, log):
        self._folder = folder
        self._path = folder + "/" + _PREFIX
        self._log = log

    def _read(self, name: str):
        """The contents of a file, None when there is none that is whole."""
        try:
            with open(self._path + name, "rb") as file:
                data = file.read(_FILE_BYTES + _CHECK_BYTES + 1)
        except OSError as error:
            if error.errno != _ENOENT:
                self._report(name, str(error))
            return None
        body = data[:-_CHECK_BYTES]
        if crc32(body).to_bytes(_CHECK_BYTES, "big") != data[-_CHECK_BYTES:]:
            self._report(name, "damaged")
            return None
        return body

    def _report(self, name: str, what: str) -> None:
        self._log.add("error", "ocpp", "certificate_lost", "certificate file %s: %s; it is left out" % (name, what))

    def _write(self, name: str, body) -> None:
        if len(body) > _FILE_BYTES:
            raise ValueError("certificate file: %d bytes; allowed: up to %d" % (len(body), _FILE_BYTES))
        path = self._path + name
        with open(path + _ASIDE, "wb") as file:
            file.write(body)
            file.write(crc32(body).to_bytes(_CHECK_BYTES, "big"))
        os.rename(path + _ASIDE, path)

    def _remove(self, name: str) -> None:
        try:
            os.remove(self._path + name)
        except OSError as error:
            if error.errno != _ENOENT:
                raise

    def _rename(self, old: str, new: str) -> None:
        os.rename(self._path + old, self._path + new)

    def _has(self, name: str) -> bool:
        try:
            os.stat(self._path + name)
            return True
        except OSError:
            return False

    def _numbers(self, kind: str) -> list:
        start = len(_PREFIX) + 1
        try:
            names = os.listdir(self._folder)
        except OSError:
            return []
        numbers = [name[start:] for name in names if name.startswith(_PREFIX + kind)]
        return sorted(int(number) for number in numbers if number.isdigit())

    def roots(self, kinds: str) -> list:
        """(name, DER) of each root of `kinds`, such as CENTRAL + FORMER, oldest first."""
        names = ["%s%d" % (kind, number) for kind in kinds for number in self._numbers(kind)]
        found = [(name, self._read(name)) for name in names]
        return [(name, der) for name, der in found if der is not None]

    def count(self) -> int:
        """How many roots there are of any kind, damaged ones too."""
        return len(self._numbers(CENTRAL)) + len(self._numbers(MAKER)) + len(self._numbers(FORMER))

    def add_root(self, kind: str, der, installed: bool = False) -> None:
        """Keep one more root; `installed`: by the central system, for as long as that is the station's."""
        first = _INSTALLED if installed else 0
        numbers = [number for number in self._numbers(kind) if (number >= _INSTALLED) == installed]
        self._write("%s%d" % (kind, numbers[-1] + 1 if numbers else first), der)

    def replace_root(self, name: str, der) -> None:
        """Put a root in the place of `name`, the newest of the central system, which stays as the former one.

        A power cut leaves the old one, the old one twice, or both in their places.
        """
        if not self._has(FORMER + "0"):
            self._write(FORMER + "0", self._read(name))
        self._write(name, der)

    def remove_root(self, name: str) -> None:
        """Remove the root `name`."""
        self._remove(name)

    def key(self, former: bool = False):
        """The charge point's private key in DER, for TLS only; None without one."""
        elements = self._elements(_FORMER_CLIENT if former else _CLIENT)
        return elements[0] if elements else None

    def chain(self, former: bool = False) -> list:
        """The charge point's certificates in DER, its own first; [] without one."""
        return self._elements(_FORMER_CLIENT if former else _CLIENT)[1:]

    def has_client(self) -> bool:
        """Whether there is a certificate of the charge point's own; nothing is read for it."""
        return self._has(_CLIENT)

    def _elements(self, name: str) -> list:
        data = self._read(name)
        if not data:
            return []
        import asn1

        found = []
        start = 0
        while start < len(data):
            _, _, stop = asn1.element(data, start, len(data))
            found.append(data[start:stop])
            start = stop
        return found

    def pending_key(self):
        """The key in DER for which a certificate was asked, None without one."""
        return self._read(_PENDING)

    def expect(self, key) -> None:
        """Keep the key in DER for which a certificate is being asked."""
        self._write(_PENDING, key)

    def keep_client(self, chain: list, later: bool) -> None:
        """Keep the pending key with its certificates: from now on, or, with `later`, until `promote`."""
        key = self.pending_key()
        if key is None:
            raise ValueError("no key is pending")
        self._write(_NEXT, key + b"".join(chain))
        self._remove(_PENDING)
        if not later:
            self.promote()

    def promote(self) -> None:
        """Use the next key and certificates from now on; those in use become the former ones, if they have worked."""
        if not self._has(_NEXT):
            return
        client = self._read(_CLIENT)
        if client is not None and not self._has(_FORMER_CLIENT):
            self._write(_FORMER_CLIENT, client)
        self._rename(_NEXT, _CLIENT)

    def next_chain(self) -> list:
        """The certificates in DER that are not valid yet, [] without any."""
        return self._elements(_NEXT)[1:]

    def settle(self) -> None:
        """The certificates in use have proven themselves: forget the former ones."""
        self._remove(FORMER + "0")
        self._remove(_FORMER_CLIENT)

    def forget(self, client: bool):
        """Generator that removes what was the former central system's, with a yield after each file.

        These are the roots that it installed and what is on trial or awaited; with `client` also the charge point's
        key and certificates.
        """
        self.restore(not client, True)
        names = [_NEXT, _PENDING] + ([_CLIENT, _FORMER_CLIENT] if client else [])
        for kind in CENTRAL + MAKER:
            names += ["%s%d" % (kind, number) for number in self._numbers(kind) if number >= _INSTALLED]
        for name in names:
            if self._has(name):
                self._remove(name)
                yield

    def restore(self, client: bool, root: bool) -> None:
        """What is new was refused: the former certificate, root, or both are in use again."""
        if client and self._has(_FORMER_CLIENT):
            self._rename(_FORMER_CLIENT, _CLIENT)
        numbers = self._numbers(CENTRAL)
        if root and numbers and self._has(FORMER + "0"):
            self._rename(FORMER + "0", "%s%d" % (CENTRAL, numbers[-1]))
