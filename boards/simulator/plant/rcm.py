"""The residual current monitor: trip output with response times, analogue value, test coil, broken parts."""

from micropython import const

# Trip levels in the middle of what the norms allow: 3..6 mA DC, 15..30 mA AC (IEC 62955, IEC 61008-1).
_DC_TRIP_UA = const(5_000)
_AC_TRIP_UA = const(25_000)
# Response: residual current in microampere, time in ms; just within Bender RCMB104 (02.2023): DC 6 mA
# 700, 60 mA 240, 300 mA 20 ms; AC 30 mA 270, 60 mA 80, 150 mA 20 ms.
_DC_RESPONSE = ((300_000, 18), (60_000, 220), (_DC_TRIP_UA, 650))
_AC_RESPONSE = ((150_000, 18), (60_000, 75), (_AC_TRIP_UA, 250))
# Below these the same module lets the trip output go.
_DC_RELEASE_UA = const(2_500)
_AC_RELEASE_UA = const(10_000)
_TEST_MS = const(100)  # from the test input to the trip output, both ways
_HOLD_MS = const(200)  # a trip is never shorter


def _response_ms(current_ua: int, table) -> int:
    """Time after which a current trips, -1 for never."""
    for level, ms in table:
        if current_ua >= level:
            return ms
    return -1


class Rcm:
    """Residual current flows while a live pole feeds the cable; the trip output is high on a trip.

    `tripped` is the wire that firmware and interlock see, which a broken output parts from what the module
    has found.
    """

    def __init__(self, plant):
        self._plant = plant
        self._trip_slot = plant.slot(self._trip)
        self._release_slot = plant.slot(self._release)
        self._test_slot = plant.slot(self._test_moved)
        self.tripped = False
        self.dc_ua = 0
        self.ac_ua = 0
        self._fault_dc_ua = 0
        self._fault_ac_ua = 0
        self._exceeded_ms = -1
        self._tripped_ms = 0
        self._flows = False
        self.test_input = False
        self._test_coil = False
        self._test_dead = False
        self._found = False
        self._stuck = False
        self._sticks = False
        self._cut = False

    def set_test(self, on: bool) -> None:
        """Drive the test input."""
        plant = self._plant
        on = bool(on) and plant.powered
        if on == self.test_input:
            return
        self.test_input = on
        if not self._test_dead:
            plant.at(self._test_slot, plant.now_ms + _TEST_MS)

    def break_test(self, broken: bool) -> None:
        """Make the module deaf to its test input, or repair it."""
        self._test_dead = broken
        if broken:
            self._test_coil = False
            self._plant.off(self._test_slot)
        elif self.test_input:
            self._plant.at(self._test_slot, self._plant.now_ms + _TEST_MS)
        self._review()

    def break_output(self, stuck, cut: bool) -> None:
        """Break the output or repair it.

        stuck: True keeps it high, False keeps it high once it has tripped, None lets it go. cut: the wire is
        off, so that nobody ever sees it high.
        """
        self._sticks = stuck is not None
        self._stuck = stuck is not None and (stuck or self._stuck or self._found)
        self._cut = cut
        self._show()

    def leak(self, dc_ua: int, ac_ua: int) -> None:
        """Residual current that flows whenever the cable is live."""
        self._fault_dc_ua = dc_ua
        self._fault_ac_ua = ac_ua
        self.update(self._flows)

    def update(self, flows: bool) -> None:
        """Follow the cable becoming live or dead."""
        plant = self._plant
        self._flows = flows
        dc = self._fault_dc_ua if flows else 0
        ac = self._fault_ac_ua if flows else 0
        if dc == self.dc_ua and ac == self.ac_ua:
            return
        self.dc_ua = dc
        self.ac_ua = ac
        plant.changed += 1
        self._review()

    def power(self, on: bool) -> None:
        """Follow the supply of the module: without it there is no output and no test."""
        if on:
            self._show()
            self._review()
            return
        self.test_input = self._test_coil = False
        self._exceeded_ms = -1
        for slot in (self._trip_slot, self._release_slot, self._test_slot):
            self._plant.off(slot)
        self._output(False)

    def _output(self, found: bool) -> None:
        self._found = found
        if found and self._sticks:
            self._stuck = True
        self._show()

    def _show(self) -> None:
        """Put on the wire what module and broken parts make of it."""
        plant = self._plant
        tripped = plant.powered and not self._cut and (self._found or self._stuck)
        if tripped == self.tripped:
            return
        self.tripped = tripped
        plant.changed += 1
        plant.contactor.update_coil()

    def _test_moved(self) -> None:
        self._test_coil = self.test_input
        if self._test_coil:
            self._trip()
        else:
            self._review()

    def _trip(self) -> None:
        self._tripped_ms = self._plant.now_ms
        self._output(True)
        self._review()

    def _release(self) -> None:
        self._output(False)
        self._review()

    def _review(self) -> None:
        """Schedule the trip, or the end of one, that the present currents lead to."""
        plant = self._plant
        if not plant.powered:
            return
        if self._found:
            plant.off(self._trip_slot)
            self._exceeded_ms = -1
            if self._test_coil or self.dc_ua >= _DC_RELEASE_UA or self.ac_ua >= _AC_RELEASE_UA:
                plant.off(self._release_slot)
            else:
                plant.at(self._release_slot, max(plant.now_ms, self._tripped_ms + _HOLD_MS))
            return
        dc = _response_ms(self.dc_ua, _DC_RESPONSE)
        ac = _response_ms(self.ac_ua, _AC_RESPONSE)
        if dc < 0 and ac < 0:
            self._exceeded_ms = -1
            plant.off(self._trip_slot)
            return
        if self._exceeded_ms < 0:
            self._exceeded_ms = plant.now_ms
        wait = ac if dc < 0 or 0 <= ac < dc else dc
        plant.at(self._trip_slot, max(plant.now_ms, self._exceeded_ms + wait))
