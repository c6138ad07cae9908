"""The real-time clock PCF8563 behind its two wires, as NXP's data sheet (Rev. 10) describes it; a test aid.

Time passes by `pass_ms`, with supply and without; `empty` is what a battery does that is at its end.
"""

MAX_HZ = 400_000
ADDRESS = 0x51

_STOP = 0x20
_TEST = 0x88
_VL = 0x80
_CENTURY = 0x80
# Seconds, minutes, hours, days, (day of the week), months, years.
_MASKS = (0x7F, 0x7F, 0x3F, 0x3F, 0x07, 0x1F, 0xFF)


def _bcd(value):
    return value // 10 << 4 | value % 10


def _number(value):
    assert value & 15 < 10, "not BCD: 0x%02x" % value
    return (value >> 4) * 10 + (value & 15)


class Pcf8563:
    """One chip. `registers` are its 16; `dead` makes it not answer."""

    MAX_HZ = MAX_HZ

    def __init__(self):
        self.dead = False
        self._pointer = 0
        self._fraction_us = 0
        self.empty()

    def empty(self):
        """The battery was empty, or was never there: values after a start are those of table 5, others are noise."""
        self.registers = bytearray(b"\x08\x00\x97\x29\x15\x12\x03\x09\x77\x80\x80\x80\x80\x83\x03\x00")
        self._fraction_us = 0

    def clock_out(self):
        """Whether its square wave runs, on the battery's account."""
        return bool(self.registers[0x0D] & 0x80)

    # -- the bus ---------------------------------------------------------------------------------------

    def write(self, data):
        """Pointer, then values."""
        self._answer()
        self._pointer = data[0] & 0x0F
        for value in data[1:]:
            self._store(self._pointer, value)
            self._pointer = (self._pointer + 1) & 0x0F

    def read(self, count):
        """Values from the pointer on; the time stands still meanwhile, so they belong together."""
        self._answer()
        out = bytearray()
        for _ in range(count):
            out.append(self.registers[self._pointer])
            self._pointer = (self._pointer + 1) & 0x0F
        return bytes(out)

    def _answer(self):
        if self.dead:
            raise OSError(19)

    def _store(self, at, value):
        if at == 0:
            assert not value & _TEST, "a test mode"
            if self.registers[0] & _STOP and not value & _STOP:
                # The upper part of the prescaler starts from zero, which leaves 0.507935 s at most.
                self._fraction_us = 1_000_000 - 507_935
        if at == 2:
            # The flag can be cleared only.
            value &= 0x7F | self.registers[2]
        self.registers[at] = value

    # -- time ------------------------------------------------------------------------------------------

    def pass_ms(self, ms, ppm=0):
        """Time passes, on supply or battery; its crystal is off by `ppm`."""
        if self.registers[0] & _STOP:
            return
        self._fraction_us += ms * 1000 + ms * ppm // 1000
        whole, self._fraction_us = divmod(self._fraction_us, 1_000_000)
        if whole:
            self._count(whole)

    def _count(self, seconds):
        parts = [_number(self.registers[2 + i] & _MASKS[i]) for i in range(7)]
        second, minute, hour, day, week, month, year = parts
        hours, rest = divmod(hour * 3600 + minute * 60 + second + seconds, 3600)
        days, hour = divmod(hours, 24)
        for _ in range(days):
            week = (week + 1) % 7
            day += 1
            if day > self._days(month, year):
                day = 1
                month += 1
                if month > 12:
                    month = 1
                    year += 1
                    if year > 99:
                        year = 0
                        self.registers[7] ^= _CENTURY
        parts = (rest % 60, rest // 60, hour, day, week, month, year)
        for i in range(7):
            self.registers[2 + i] = self.registers[2 + i] & ~_MASKS[i] & 0xFF | _bcd(parts[i])

    def _days(self, month, year):
        if month == 2:
            return 29 if year % 4 == 0 else 28
        return 30 if month in (4, 6, 9, 11) else 31
