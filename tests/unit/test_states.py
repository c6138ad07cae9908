"""The state table, enumerated."""

from wallbox.charging import states as s

STEADY_TWIN = {s.A2: s.A1, s.B2: s.B1, s.C2: s.C1, s.D2: s.D1}
LEVEL_STATES = {s.LEVEL_A: (s.A1, s.A2), s.LEVEL_B: (s.B1, s.B2), s.LEVEL_C: (s.C1, s.C2), s.LEVEL_D: (s.D1, s.D2)}


def test_every_state_answers_every_event_with_a_known_state():
    assert len(s.NEXT) == len(s.NAMES) == len(s.PILOT) == len(s.CONTACTOR)
    for row in s.NEXT:
        assert len(row) == len(s.EVENTS)
        for state in row:
            assert state < len(s.NAMES)


def test_a_level_leads_to_a_state_of_that_level_from_everywhere():
    for state in range(len(s.NAMES)):
        for level, wanted in LEVEL_STATES.items():
            assert s.NEXT[state][level] in wanted, (s.NAMES[state], s.EVENTS[level])
        assert s.NEXT[state][s.LEVEL_E] == s.E


def test_a_fault_leads_to_f_from_everywhere():
    for row in s.NEXT:
        assert row[s.FAULT] == s.F


def test_withdrawing_ends_every_modulated_state():
    for state, twin in STEADY_TWIN.items():
        assert s.NEXT[state][s.WITHDRAW] == twin
        assert s.PILOT[twin] == s.STEADY
    for row in s.NEXT:
        assert s.PILOT[row[s.WITHDRAW]] != s.PWM


def test_an_offer_is_made_only_to_a_car_in_b_or_c():
    for state in range(len(s.NAMES)):
        after = s.NEXT[state][s.OFFER]
        if s.PILOT[state] != s.PWM and s.PILOT[after] == s.PWM:
            assert state in (s.B1, s.C1), s.NAMES[state]


def test_the_contactor_may_close_in_c2_alone():
    closing = [s.NAMES[i] for i in range(len(s.NAMES)) if s.CONTACTOR[i] == s.CLOSE]
    holding = [s.NAMES[i] for i in range(len(s.NAMES)) if s.CONTACTOR[i] == s.HOLD]
    assert closing == ["C2"]
    assert holding == ["C1"]


def test_every_state_can_be_reached_from_a1():
    reached = {s.A1}
    while True:
        more = {after for state in reached for after in s.NEXT[state]} - reached
        if not more:
            break
        reached |= more
    # The two modulated states without a car that may charge are transient: a level change reaches them.
    assert reached == set(range(len(s.NAMES)))
