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


def test_a_wake_up_begins_from_b2_alone_and_moves_nothing_else():
    for state in range(len(s.NAMES)):
        after = s.NEXT[state][s.WAKE]
        assert after == (s.F if state == s.B2 else state), s.NAMES[state]


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


def test_a_level_keeps_the_modulation_and_from_e_and_f_it_is_steady():
    steady = (s.A1, s.B1, s.C1, s.D1, s.E)
    modulated = (s.A2, s.B2, s.C2, s.D2, s.E)
    for state in range(len(s.NAMES)):
        after = modulated if state in STEADY_TWIN else steady
        assert tuple(s.NEXT[state][: len(after)]) == after, s.NAMES[state]


def test_the_boxs_own_wish_changes_the_modulation_alone():
    offered = {s.B1: s.B2, s.C1: s.C2}
    for state in range(len(s.NAMES)):
        assert s.NEXT[state][s.WITHDRAW] == STEADY_TWIN.get(state, state), s.NAMES[state]
        # D2 waits for the withdrawal, which its refusal brings in the same step (ventilation is a fault).
        wanted = offered.get(state, state)
        assert s.NEXT[state][s.OFFER] == wanted, s.NAMES[state]


def test_each_state_puts_out_what_its_name_says():
    outputs = {s.E: s.STEADY, s.F: s.NEGATIVE}
    for state in range(len(s.NAMES)):
        wanted = outputs.get(state, s.PWM if s.NAMES[state][-1] == "2" else s.STEADY)
        assert s.PILOT[state] == wanted, s.NAMES[state]


def test_states_events_and_outputs_are_numbered_from_0():
    numbers = (s.A1, s.A2, s.B1, s.B2, s.C1, s.C2, s.D1, s.D2, s.E, s.F)
    assert numbers == tuple(range(len(s.NAMES)))
    levels = (s.LEVEL_A, s.LEVEL_B, s.LEVEL_C, s.LEVEL_D, s.LEVEL_E)
    assert levels + (s.OFFER, s.WITHDRAW, s.FAULT, s.WAKE) == tuple(range(len(s.EVENTS)))
    assert sorted((s.STEADY, s.PWM, s.NEGATIVE)) == sorted((s.OPEN, s.HOLD, s.CLOSE)) == [0, 1, 2]


def test_only_c_may_have_a_closed_contactor():
    for state in range(len(s.NAMES)):
        assert s.CONTACTOR[state] == {s.C1: s.HOLD, s.C2: s.CLOSE}.get(state, s.OPEN), s.NAMES[state]
