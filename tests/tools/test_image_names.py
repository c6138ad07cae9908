"""What has a new name in the image, and what keeps its own."""

import ast
import subprocess
from pathlib import Path

import image
import image_names
import pytest

from simulator import MICROPYTHON


def shortened(main: str, *, others: tuple[str, ...] = (), **modules: str) -> list[str]:
    """The lines of a module after names were shortened in all modules, as programs `others` use them.

    A `__` in a module's name stands for a dot.
    """
    texts = {"main": main, **{name.replace("__", "."): text for name, text in modules.items()}}
    trees = {name: ast.parse(text) for name, text in texts.items()}
    image_names.shorten(trees, [ast.parse(text) for text in others])
    return [line for line in ast.unparse(trees["main"]).split("\n") if line]


def lines(text: str) -> list[str]:
    """A module's lines when nothing in it was renamed."""
    return [line for line in ast.unparse(ast.parse(text)).split("\n") if line]


# -- parameters ------------------------------------------------------------------------------------------


def test_parameters_have_the_same_few_names_in_all_functions():
    text = "def f(first, second=third):\n    return lambda third: first + third\n\ndef g(other):\n    return other"
    assert shortened(text) == [
        "def f(self, value=third):",
        "    return lambda value: self + value",
        "def g(self):",
        "    return self",
    ]


def test_a_new_name_is_none_that_the_function_uses():
    text = (
        "def f(first):\n    self = 1\n    for value in first:\n        key(value)\n    def keys(first):\n        return"
    )
    assert shortened(text) == [
        "def f(values):",
        "    self = 1",
        "    for value in values:",
        "        key(value)",
        "    def keys(values):",
        "        return",
    ]


def test_a_default_belongs_to_the_scope_around_the_function():
    assert shortened("def f(first=first):\n    return first") == ["def f(self=first):", "    return self"]


def test_functions_within_a_function_see_its_parameters():
    text = (
        "def f(first, second):\n    def g(second, third):\n        other = first\n        return second, third"
        "\n    return [g(second, part) for part in first]"
    )
    assert shortened(text) == [
        "def f(self, value):",
        "    def g(value, values):",
        "        other = self",
        "        return (value, values)",
        "    return [g(value, part) for part in self]",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "def f(first, *, later=0):\n    pass\nf(first=1)",
        "def f(**first):\n    pass",
        "def f(first, **more):\n    pass",
        "def f(first):\n    return lambda **more: first",
        "def f(first):\n    pass\nf(**{'first': 1})",
        "def f(first):\n    class A:\n        first = 1",
        "def f(first):\n    def g():\n        nonlocal first",
        "def f(first):\n    def g():\n        global first",
        "def f(first):\n    import first",
        "def f(first):\n    try:\n        pass\n    except OSError as first:\n        pass",
    ],
)
def test_a_parameter_that_somebody_knows_by_its_name_keeps_it(text: str):
    assert shortened(text) == lines(text)


def test_a_parameter_that_another_program_gives_by_name_keeps_it():
    assert shortened("def f(first, second):\n    pass", others=("f(second=1)",))[0] == "def f(self, second):"


# -- attributes ------------------------------------------------------------------------------------------

CLASS = "class A:\n    def __init__(self):\n        self._x = 1\n    def get(self):\n        return self._x\n"


def attributes(text: list[str]) -> set[str]:
    """The names of the attributes in these lines."""
    return image_names.attributes(ast.parse("\n".join(text)))


def test_a_private_attribute_of_instances_has_a_new_name_and_a_method_its_own():
    assert shortened(CLASS) == lines(CLASS.replace("_x", "self"))


def test_what_all_classes_derive_from_makes_no_relatives():
    text = "".join(f"class {name}(object):\n    def f(self):\n        self._{name} = 1\n" for name in ("one", "two"))
    assert shortened(text) == lines(text.replace("_one", "self").replace("_two", "self"))


def test_public_attributes_and_methods_keep_their_names():
    text = "class A:\n    def _go(self):\n        self.one = self._go"
    assert shortened(text) == lines(text)


def test_attributes_of_relatives_differ_and_those_of_others_do_not():
    text = (
        "class A:\n    def f(self):\n        self._one, self._two = self.value\n"
        "class B(A):\n    def f(self):\n        self._three = self._one\n"
        "class C:\n    def f(self):\n        self._four = 4\n"
    )
    assert shortened(text) == lines(
        "class A:\n    def f(self):\n        self.self, self.key = self.value\n"
        "class B(A):\n    def f(self):\n        self.values = self.self\n"
        "class C:\n    def f(self):\n        self.self = 4\n"
    )


def test_relatives_are_found_over_modules_whatever_their_order():
    derived = (
        "class C(B):\n    def f(self):\n        self._z = 1\nclass B(A):\n    def f(self):\n        self._y = self._x"
    )
    one, two, three = (f"self.{name}" for name in ("self", "value", "values"))
    assert shortened(CLASS, derived=derived) == lines(CLASS.replace("self._x", one))
    assert shortened(derived, base=CLASS) == lines(
        derived.replace("self._x", one).replace("self._y", two).replace("self._z", three)
    )


@pytest.mark.parametrize(
    "more",
    [
        "def f(a):\n    a._x = 2",
        "def f(a):\n    del a._x",
        "def f(a):\n    return a._x",
        "def f(a):\n    getattr(a, '_x')",
        "def f(a):\n    return 'it is in _x of this'",
        "NAMES = 'first _x'",
        "class B(A):\n    _x = 0",
        "class B(A):\n    def _x(self):\n        pass",
        "class B(A, ValueError):\n    def f(self):\n        return self._x",
        "from main import A as Z\nclass B(Z):\n    def f(self):\n        return self._x",
        "from main import A as B\nclass C(B):\n    def f(self):\n        return self._x\nclass B:\n    pass",
        "Z = A\nclass B(Z):\n    def f(self):\n        return self._x",
        "f(_x=1)",
        "from os import _x",
    ],
)
def test_an_attribute_that_somebody_else_may_know_keeps_its_name(more: str):
    assert "_x" in attributes(shortened(CLASS + more))
    assert "_x" in attributes(shortened(CLASS, more=more))
    assert "_x" in attributes(shortened(CLASS, others=(more,)))


@pytest.mark.parametrize("other", ["class B(A):\n    def f(self):\n        self._x = 1", "from main import A\nA()._x"])
def test_an_attribute_that_a_board_or_a_measuring_program_reaches_for_keeps_its_name(other: str):
    assert shortened(CLASS, others=(other,)) == lines(CLASS)


def test_a_class_that_derives_from_one_of_the_interpreter_keeps_its_attributes():
    text = "class B(Event):\n    def f(self):\n        self._y = 1"
    assert shortened(text) == lines(text)


@pytest.mark.parametrize(
    "method",
    [
        "def f(self, b):\n        self._y = 1\n        self = b",
        "def f(self):\n        self._y = 1\n        return lambda self: self._y",
        "def f(self):\n        for self in self._y:\n            pass",
        "@staticmethod\n    def f(b):\n        b._y = 1",
        "@classmethod\n    def f(kind):\n        kind._y = 1",
        "def f(self, b=self._y):\n        pass",
    ],
)
def test_what_may_not_be_the_methods_own_instance_is_anybody(method: str):
    assert "_y" in attributes(shortened("class A:\n    " + method))


def test_a_function_within_a_method_knows_its_instance():
    text = "class A:\n    def f(self):\n        self._y = lambda: self._y"
    assert shortened(text) == lines(text.replace("_y", "self"))


def test_a_property_keeps_its_name_and_its_state_does_not():
    text = "class A:\n    @property\n    def x(self):\n        return self._x"
    assert shortened(text) == lines(text.replace("_x", "self"))


@pytest.mark.parametrize("more", ["def f():\n    f().self", "def f():\n    hasattr(f, 'self')"])
def test_a_new_attribute_is_none_that_anybody_asks_for(more: str):
    after = lines(CLASS.replace("_x", "value"))
    assert shortened(CLASS, others=(more,)) == shortened(CLASS, more=more) == after


def test_a_new_attribute_is_none_that_a_class_has():
    more = "class B:\n    self = 1\n    def value(self):\n        pass"
    assert shortened(CLASS, more=more) == lines(CLASS.replace("_x", "values"))


# -- variables of modules --------------------------------------------------------------------------------


def test_private_variables_of_a_module_have_new_names_and_functions_keep_theirs():
    text = "_a = []\n_b = const(1)\nc = _f\ndef _f():\n    global _a\n    _a = [_b]"
    assert shortened(text) == lines(text.replace("_a", "self"))


def test_a_new_variable_hides_nothing_that_the_module_uses():
    text = "_a = []\ndef self():\n    return value(_a)\nimport values"
    assert shortened(text) == lines(text.replace("_a", "key"))


def test_a_new_variable_is_no_module_of_the_package():
    """The module `ocpp.keys` becomes the variable `keys` of package `ocpp` when it is loaded."""
    assert shortened("_a = []", main__self="", main__value="") == ["values = []"]


def test_a_new_variable_is_none_that_a_module_may_be_asked_for():
    assert shortened("_a = []", more="import main\nmain.self\nhasattr(main, 'value')") == ["values = []"]


@pytest.mark.parametrize(
    "more",
    [
        "class A:\n    _a = 1",
        "class A:\n    def _a(self):\n        pass",
        "def f():\n    from os import _a",
        "def f():\n    def _a():\n        pass",
        "def f():\n    _a = 1\n    def g():\n        nonlocal _a",
        "def f(_a):\n    pass\nf(_a=1)",
        "def f(b):\n    return b._a",
        "NAME = '_a'",
    ],
)
def test_a_private_variable_that_may_be_something_else_too_keeps_its_name(more: str):
    assert shortened("_a = []\n" + more)[0] == "_a = []"


@pytest.mark.parametrize("text", ["from main import _a", "import main\nmain._a", "getattr(main, '_a')"])
def test_a_private_variable_that_another_module_or_program_takes_keeps_its_name(text: str):
    assert shortened("_a = []", other=text) == ["_a = []"]
    assert shortened("_a = []", others=(text,)) == ["_a = []"]


# -- the image -------------------------------------------------------------------------------------------


def test_a_docstring_protects_no_name():
    text = "def f(a):\n    'a docstring of one'\n    g('two words')"
    assert image_names.words(ast.parse(text)) == {"two", "words"}


def test_the_new_names_are_in_every_interpreter_anyway(tmp_path: Path):
    """In a .mpy file the number of such a name stands in the place of its text."""
    text = "\n".join(f"x.{name}" for name in (*image_names.FREE, *image_names.BUILTIN, "surely_not"))
    command = [image.MPY_CROSS, "-s", "self", "-o", tmp_path / "x.mpy", "-"]
    subprocess.run([*map(str, command)], input=text, text=True, check=True)
    compiled = (tmp_path / "x.mpy").read_bytes()
    assert b"surely_not" in compiled
    assert [name for name in (*image_names.FREE, *image_names.BUILTIN) if name.encode() + b"\0" in compiled] == []


def test_what_a_board_or_a_measuring_program_uses_is_looked_through():
    paths = {path.relative_to(image.ROOT).as_posix() for pattern in image.USERS for path in image.ROOT.glob(pattern)}
    assert {"firmware/main.py", "boards/simulator/run.py", "tools/measure/inert_board.py"} < paths
    flashed = image.read(image.ROOT / "boards/simulator", Path())
    assert {source.name for source in flashed if image.is_flashed(source)} > {"hal", "hal.pilot"}
    assert len(image.users([])) == len(paths) == len(image.users(flashed)) + len(flashed)


PROGRAM = {
    "shelf.py": (
        "class Shelf:\n    def __init__(self, size_mm):\n        self._size_mm = size_mm\n        self.books = []\n"
        "    def put(self, book):\n        self.books.append(book)\n        self._measure(book)\n"
        "    def _measure(self, book):\n        self._size_mm -= book.thick_mm\n        _check(self._size_mm)\n\n"
        "_least_mm = 0\n\ndef _check(left_mm):\n    if left_mm < _least_mm:\n        raise ValueError('no room')\n"
    ),
    "book.py": (
        "class Book:\n    def __init__(self, title, thick_mm):\n        self.title = title\n"
        "        self.thick_mm = thick_mm\n"
    ),
    "library.py": (
        "from shelf import Shelf\nfrom book import Book\nshelf = Shelf(size_mm=50)\n"
        "for title in ('first', 'second', 'third'):\n    shelf.put(Book(title, 20))\n"
        "    print([(book.title, book.thick_mm) for book in shelf.books])\n"
    ),
}


def printed(folder: Path) -> list[str]:
    """The lines that program `library` prints, its error too."""
    program = f"import sys; sys.path.insert(0, {str(folder)!r}); import library"
    command = [MICROPYTHON, "-c", program]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout.split("\n")


def test_the_image_does_the_same_and_its_traceback_names_module_and_function(tmp_path: Path):
    plain, compiled = tmp_path / "plain", tmp_path / "compiled"
    plain.mkdir()
    for name, text in PROGRAM.items():
        (plain / name).write_text(text)
    image.compile_sources(image.read(plain, compiled))
    everything = b"".join(path.read_bytes() for path in compiled.iterdir())
    assert not any(name in everything for name in (b"_size_mm", b"left_mm", b"_least_mm"))
    before, after = printed(plain), printed(compiled)
    assert "ValueError: no room" in after and '  File "shelf", line 1, in _measure' in after

    def unplaced(lines: list[str]) -> list[str]:
        return [line.rpartition(", in ")[2] for line in lines]

    assert unplaced(after) == unplaced(before)
