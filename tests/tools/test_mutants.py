"""The mutation check: every change of meaning is found, named, repeatable, and judged by tests that can fail."""

import ast
from pathlib import Path

import mutants
import pytest
from mutations import mutants as made


def changes(source: str, kind: str = "") -> list[str]:
    """What the mutants of a source turn its lines into."""
    return [mutant.after for mutant in made("x.py", source) if mutant.kind.startswith(kind)]


def in_function(line: str) -> list[str]:
    """What the mutants of one line in a function turn it into."""
    return changes(f"def f(a, b, c):\n    {line}\n")


@pytest.mark.parametrize(
    "line, wanted",
    [
        ("if a < b: g()", ["if True: g()", "if False: g()", "if a <= b: g()", "if a >= b: g()", "if a < b: pass"]),
        ("x = a == b", ["pass", "x = a != b"]),
        ("x = a is None", ["pass", "x = a is not None"]),
        ("x = a and b", ["pass", "x = a or b", "x = True and b", "x = a and True"]),
        ("x = not a or b", ["pass", "x = not a and b", "x = (a) or b", "x = False or b", "x = not a or False"]),
        ("x = a + b * c", ["pass", "x = a - b * c", "x = a + b // c"]),
        ("x |= ~a", ["pass", "x &= ~a", "x |= (a)"]),
        ("x = max(a, 3)", ["pass", "x = min(a, 3)", "x = max(a, 4)"]),
        ("return True", ["return False"]),
        ("return a", ["return None"]),
        ("return", ["pass"]),
        ("raise E", ["pass"]),
        ("x = a if b else c", ["pass", "x = a if True else c", "x = a if False else c"]),
        ("while True: g()", ["while True: pass"]),
        ("x = 'a %d' % b", ["pass"]),
    ],
)
def test_a_line_is_changed_in_every_way(line, wanted):
    assert sorted(in_function(line)) == sorted(wanted)


def test_a_returned_value_is_changed_by_what_the_function_promises():
    assert "return not (a)" in changes("def f(a) -> bool:\n    return a\n")
    assert "return (a) + 1" in changes("def f(a) -> int:\n    return a\n")


def test_a_constant_is_a_step_more_twice_half_and_nothing():
    assert changes("_A_MS = const(200)") == [f"_A_MS = const({ms})" for ms in (400, 210, 100, 0)]
    assert changes("A = const(1)") == ["A = const(2)", "A = const(0)"]
    assert changes("A = const(2 * 3)")[1] == "A = const(7)"


def test_an_entry_of_a_table_becomes_the_constant_beside_it():
    source = "A = const(0)\nB = const(1)\n\nC = const(0)\nTABLE = (bytes((A, B)), ('name', True, 5, -7))"
    assert changes(source, "other-name") == [
        "TABLE = (bytes((B, B)), ('name', True, 5, -7))",
        "TABLE = (bytes((A, A)), ('name', True, 5, -7))",
    ]
    assert "TABLE = (bytes((A, B)), ('name', False, 5, -7))" in changes(source)
    assert "TABLE = (bytes((A, B)), ('name', True, 5, -6))" in changes(source)


def test_texts_annotations_and_status_functions_are_left_alone():
    source = '"""Text."""\nNAMES = ("a", "b")\ndef f(a: 3):\n    """Text."""\ndef status(a):\n    return a + 1\n'
    assert made("x.py", source) == []


def test_every_mutant_of_the_core_is_another_program_with_an_id_of_its_own():
    found = mutants.all_mutants()
    assert len({mutant.id for mutant in found}) == len(found) > 2000
    for mutant in found[::50]:
        assert ast.dump(ast.parse(mutant.text)) != ast.dump(ast.parse(mutant.source)), mutant.id
    assert [mutant.id for mutant in mutants.all_mutants()] == [mutant.id for mutant in found]


def test_a_selection_is_repeatable_and_an_empty_one_is_an_error():
    found = made("charging/a.py", "A = const(5)\nB = const(6)\n") + made("charging/b.py", "A = const(5)\n")
    by_id = mutants.selected(found, mutants.parse(["--only", "charging/a.py:2:*"]))
    assert {mutant.line for mutant in by_id} == {2}
    by_file = mutants.selected(found, mutants.parse(["--file", "b.py"]))
    assert {mutant.file for mutant in by_file} == {"charging/b.py"}
    sample = [mutants.selected(found, mutants.parse(["--sample", "4", "--seed", seed])) for seed in "778"]
    assert sample[0] == sample[1] != sample[2]
    assert len(sample[0]) == 4
    with pytest.raises(mutants.MutantsError, match="no mutant"):
        mutants.selected(found, mutants.parse(["--only", "charging/c.py:*"]))


def test_an_argued_mutant_is_found_by_its_text_and_must_exist():
    found = made("charging/a.py", "def f(a):\n    return a > 5\n")
    line = "charging/a.py :: f :: return a > 5 :: return a >= 5 :: a is odd"
    ids = mutants.argued_ids(mutants.read_arguments("# head\n\n" + line), found)
    assert ids == {"charging/a.py:2:13:>->="}
    with pytest.raises(mutants.MutantsError, match="line 1: matches 0"):
        mutants.argued_ids(mutants.read_arguments(line.replace("> 5", "> 6", 1)), found)
    with pytest.raises(mutants.MutantsError, match="line 1: wanted"):
        mutants.read_arguments(line.removesuffix(":: a is odd"))


def test_the_argued_mutants_of_the_project_exist():
    arguments = mutants.read_arguments(mutants.ARGUED.read_text())
    assert len(mutants.argued_ids(arguments, mutants.all_mutants())) == len(arguments)


def test_results_are_taken_up_and_a_survivor_runs_again_when_a_test_changed(tmp_path: Path):
    killed, survivor = made("charging/a.py", "A = const(1)\n")
    path = tmp_path / "results"
    first = mutants.Results(path, "tests 1", "core")
    first.add(killed, mutants.KILLED, "test_a", 0.1)
    first.add(survivor, mutants.SURVIVED, "", 0.1)
    for tests, depth, again in [("tests 1", "core", False), ("tests 2", "core", True), ("tests 1", "whole", True)]:
        results = mutants.Results(path, tests, depth)
        assert results.of(killed)
        assert (results.of(survivor) is None) == again


def test_a_mutant_is_killed_by_a_failing_test_by_one_that_hangs_and_else_survives(tmp_path: Path):
    copy = mutants.Copy(tmp_path)
    step = mutants.unit_step("test_states", "own")
    file = "charging/states.py"
    found = made(file, (mutants.ROOT / mutants.CODE / file).read_text())
    wrong = next(mutant for mutant in found if mutant.before.startswith("CONTACTOR"))
    assert copy.judge(wrong, [step]) == (mutants.KILLED, "test_states")
    assert copy.run(step) == "", "the copy is whole again"
    assert copy.judge(wrong, []) == (mutants.SURVIVED, "")
    endless = mutants.Step("sleep", "own", ("sleep", "60"), 0.1)
    assert copy.judge(wrong, [endless]) == (mutants.HANGS, "sleep")
    assert (mutants.ROOT / mutants.CODE / file).read_bytes() == wrong.source


def test_a_mutant_that_cannot_run_is_killed_but_tests_that_cannot_run_prove_nothing(tmp_path: Path):
    copy = mutants.Copy(tmp_path)
    file = "charging/states.py"
    found = made(file, (mutants.ROOT / mutants.CODE / file).read_text())
    crashing = mutants.Step(
        "crash", "own", ("sh", "-c", "! grep -q 'A1 = const(1)' firmware/wallbox/charging/states.py")
    )
    assert found[0].after == "A1 = const(1)"
    assert copy.judge(found[0], [crashing]) == (mutants.KILLED, "crash")
    with pytest.raises(mutants.MutantsError, match="without any change"):
        copy.judge(found[0], [mutants.Step("broken", "own", ("false",))])


def test_the_report_counts_with_and_without_the_argued(capsys: pytest.CaptureFixture[str]):
    found = made("charging/a.py", "A = const(8)\n")
    results = mutants.Results(None, "", "own")
    verdicts = [mutants.KILLED, mutants.HANGS, mutants.SURVIVED]
    for mutant, verdict in zip(found, verdicts, strict=False):
        results.add(mutant, verdict, "", 0.1)
    assert mutants.report(found, {found[3].id}, results) == 75.0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [f"survived {found[2].id}  -", "  - A = const(8)", "  + A = const(4)"]
    assert lines[-1].split() == ["all", "4", "1", "1", "1", "1", "50.0", "75.0"]
