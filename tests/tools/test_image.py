"""The image: what is flashed is the firmware, smaller, and it charges a car."""

import ast
import subprocess
from pathlib import Path

import image
import pytest

from simulator import MICROPYTHON, Simulator


def sources(**modules: str) -> list[image.Source]:
    """Parsed modules; their names may hold a `__` in the place of a dot."""
    return [
        image.Source(name.replace("__", "."), Path(name + ".py"), Path(name + ".mpy"), ast.parse(text))
        for name, text in modules.items()
    ]


def resolved(*, main: str, **modules: str) -> str:
    """The text of module `main` after constants were resolved among all modules."""
    parsed = sources(main=main, **modules)
    table = {source.name: image.constants(source.tree) for source in parsed}
    for source in parsed:
        image.Resolver(source, table).resolve()
    return ast.unparse(parsed[0].tree)


def test_an_imported_constant_becomes_its_number():
    limits = "_STEP = const(2)\nLEAST = const(_STEP * 3)\nNAME = 'least'\n"
    assert resolved(main="from limits import LEAST, NAME\nprint(LEAST, NAME)", limits=limits) == (
        "from limits import NAME\nprint(6, NAME)"
    )


def test_a_constant_of_an_imported_module_becomes_its_number():
    text = resolved(
        main="from house import limits\nprint(limits.LEAST, limits.rows)", house__limits="LEAST = const(-6)"
    )
    assert text == "from house import limits\nprint(-6, limits.rows)"


@pytest.mark.parametrize("text", ["import limits\nprint(limits.LEAST)", "import limits as l\nprint(l.LEAST)"])
def test_a_constant_of_a_module_that_is_imported_as_a_whole_becomes_its_number(text: str):
    assert "print(-6)" in resolved(main=text, limits="LEAST = const(-6)")


def test_an_attribute_that_only_has_the_name_of_a_module_stays():
    assert "x.limits.LEAST" in resolved(main="import limits\nprint(x.limits.LEAST)", limits="LEAST = const(-6)")


def test_a_constant_of_a_dotted_module_becomes_its_number():
    assert resolved(main="import house.limits\nprint(house.limits.LEAST)", house__limits="LEAST = const(7)") == (
        "import house.limits\nprint(7)"
    )


def test_a_modules_own_public_constant_needs_no_name():
    assert resolved(main="A = const(1)\n_B = const(2)\nx = A | _B") == "_B = const(2)\nx = 1 | _B"


@pytest.mark.parametrize("text", ["A = const(1)\ndef f(A):\n    pass", "A = const(1)\ndef f():\n    A = 2"])
def test_what_hides_a_constant_is_refused(text: str):
    with pytest.raises(image.ImageError, match="A"):
        resolved(main=text)


def test_a_library_keeps_only_what_is_called():
    tree = ast.parse("import struct\nimport typing\ndef a() -> int: return struct.pack()\ndef b(): return typing.x\n")
    image.trim(tree, {"a"})
    assert "typing" not in ast.unparse(tree) and "def a()" in ast.unparse(tree)
    with pytest.raises(image.ImageError, match="missing"):
        image.trim(tree, {"missing"})


def test_sentences_in_functions_become_one_constant():
    lines = (
        '"""Doc string of it."""',
        "import os",
        "KEPT = 'a text at the top'",
        "def f(a='a default of f'):",
        '    """What f does."""',
        "    g('is not there: %s' % a, 'is not there: %s', 'WithoutBlank')",
        "    return lambda: f'is {a} there at all' + 'nor is it here'",
    )
    tree = ast.parse("\n".join(lines))
    image.Texts().gather(tree)
    found = [line for line in ast.unparse(ast.fix_missing_locations(tree)).split("\n") if line]
    assert found == [
        *lines[:2],
        "_texts = 'is not there: %snor is it here'",
        *lines[2:5],
        "    g(_texts[0:16] % a, _texts[0:16], 'WithoutBlank')",
        "    return lambda: f'is {a} there at all' + _texts[16:30]",
    ]


def test_tables_and_texts_have_the_same_values_in_the_image(tmp_path: Path):
    text = (
        "from micropython import const\nA = const(7)\n_ONCE = 'a text that is used once'\n"
        "ROWS = (('short', A, ('x', 2)), (1, (2, 3)), ())\n"
        "def f():\n    return _ONCE, ROWS, ('y', A), 'more than %d A' % A\nprint(f())\n"
    )
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "rows.py").write_text(text)
    image.compile_sources(image.read(tmp_path / "plain", tmp_path / "compiled"))

    def printed(folder: str) -> str:
        program = f"import sys; sys.path.insert(0, {str(tmp_path / folder)!r}); import rows"
        return subprocess.run([MICROPYTHON, "-c", program], capture_output=True, text=True, check=True).stdout

    assert (
        printed("compiled")
        == printed("plain")
        == "('a text that is used once', " + ("(('short', 7, ('x', 2)), (1, (2, 3)), ()), ('y', 7), 'more than 7 A')\n")
    )


def test_the_image_of_the_firmware_charges_a_car(flashed: Path):
    assert not list(flashed.glob("firmware/wallbox/**/*.py"))
    with Simulator(program=(str(flashed / "boards/simulator/run.py"),)) as box:
        box.until(lambda state: state["led"]["pattern"] == "blue", 30)
        box.plug()
        state = box.until(lambda state: state["contactor"]["closed"], 30)
        assert state["pilot"]["state"] == "C2"
        box.fault("residual_dc", 20)
        box.until(lambda state: state["led"]["pattern"] == "red" and not state["contactor"]["closed"], 5)
        assert box.log(code="fault_residual_current")[0]["text"].startswith("current leaks to earth")
