"""Finds every small change of a source file that a test should notice: one mutant a change, made from the syntax tree.

Kinds of change, as they stand at the end of a mutant's id:

- `<-<=`, `==-!=` ...: a comparison is shifted at its boundary, turned around, or negated
- `and-or`, `or-and`, `drop-not`: logic; `drop-term`: one condition among several joined by and/or is left out
- `true`, `false`: the condition of an if, a loop, a conditional expression is forced
- `+step`, `*2`, `/2`, `=0`: a number in const() or in a table of the module; a step is one loop period (10 ms) for a
  constant whose name ends in _MS, else 1. `+1`: a number within a function
- `other-name`: an entry of a table is replaced by the constant that stands beside it where it is defined
- `+--`, `*-//`, `&-|` ...: arithmetic and masks; `drop-minus`, `drop-invert`; `max-min`, `min-max`
- `flip`: True becomes False or the other way round
- `drop`: a call, an assignment, a raise or a bare return is left out
- `return`: another value is returned (not the truth, one more, None)

Left out, since no behaviour hangs on it: docstrings, annotations, imports and every text (what a person reads in the
log, names of states and faults: tables of texts alone therefore have no mutant); functions named `status`, which only
copy values for display; `while True`; and dropping an assignment of a module, without which nothing starts.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

PERIOD_MS = 10
UNMUTATED_FUNCTIONS = {"status"}
COMPARE = {
    ast.Lt: ("<", ("<=", ">=")),
    ast.LtE: ("<=", ("<", ">")),
    ast.Gt: (">", (">=", "<=")),
    ast.GtE: (">=", (">", "<")),
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
    ast.Is: ("is", ("is not",)),
    ast.IsNot: ("is not", ("is",)),
    ast.In: ("in", ("not in",)),
    ast.NotIn: ("not in", ("in",)),
}
ARITHMETIC = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "//"),
    ast.FloorDiv: ("//", "*"),
    ast.Div: ("/", "*"),
    ast.Mod: ("%", "//"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.BitXor: ("^", "&"),
}
EXTREMES = {"max": "min", "min": "max"}


@dataclass(frozen=True)
class Mutant:
    """One change of one file: the bytes from `start` to `end` become `new`."""

    file: str
    function: str
    line: int
    column: int
    kind: str
    start: int
    end: int
    new: str
    source: bytes

    @property
    def id(self) -> str:
        """What names the mutant on the command line and in reports."""
        return f"{self.file}:{self.line}:{self.column}:{self.kind}"

    @property
    def text(self) -> bytes:
        """The whole file with the change in it."""
        return self.source[: self.start] + self.new.encode() + self.source[self.end :]

    @cached_property
    def before(self) -> str:
        """The source line (all lines of a longer change, joined) as it is."""
        return self._lines(self.source, self.end)

    @cached_property
    def after(self) -> str:
        """The same line as it is in the mutant."""
        return self._lines(self.text, self.start + len(self.new.encode()))

    def _lines(self, text: bytes, end: int) -> str:
        first = text.rfind(b"\n", 0, self.start) + 1
        last = text.find(b"\n", end)
        return " ".join(text[first : last if last >= 0 else len(text)].decode().split())


def mutants(file: str, source: str) -> list[Mutant]:
    """All mutants of a file, in the order of their places; each differs from the source in what it means."""
    return Finder(file, source).find()


def numbered(found: list[Mutant]) -> list[Mutant]:
    """The same mutants, with `#2` and so on behind the kind where several begin at one place."""
    seen: Counter[str] = Counter()
    result = []
    for mutant in found:
        seen[mutant.id] += 1
        times = seen[mutant.id]
        result.append(mutant if times == 1 else replace(mutant, kind=f"{mutant.kind}#{times}"))
    return result


class Finder:
    """Walks one module; `scope` is the qualified name of the function it is in."""

    def __init__(self, file: str, source: str):
        self.file = file
        self.source = source.encode()
        self.tree = ast.parse(source)
        self.starts = [0]
        for line in self.source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.scope: list[str] = []
        self.in_function = 0
        self.found: list[Mutant] = []
        self.neighbours = self.constant_neighbours()

    def find(self) -> list[Mutant]:
        """Go through the module."""
        for node in self.tree.body:
            if isinstance(node, ast.Assign):
                self.module_value(node)
            else:
                self.statement(node)
        self.found.sort(key=lambda mutant: (mutant.line, mutant.column, mutant.kind, mutant.end))
        return numbered(self.found)

    # -- places in the text ---------------------------------------------------------------------------

    def start(self, node: ast.expr | ast.stmt) -> int:
        """Offset of a node's first byte."""
        return self.starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt) -> int:
        """Offset behind a node's last byte."""
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self.starts[node.end_lineno - 1] + node.end_col_offset

    def text(self, node: ast.expr) -> str:
        """A node's source."""
        return self.source[self.start(node) : self.end(node)].decode()

    def change(self, kind: str, start: int, end: int, new: str) -> None:
        """Note a mutant."""
        line = self.source.count(b"\n", 0, start)
        function = ".".join(self.scope) or "-"
        column = start - self.starts[line]
        self.found.append(Mutant(self.file, function, line + 1, column, kind, start, end, new, self.source))

    def replace(self, kind: str, node: ast.expr | ast.stmt, new: str) -> None:
        """Note a mutant that has `new` in the place of a node."""
        self.change(kind, self.start(node), self.end(node), new)

    def operator(self, left: ast.expr, right: ast.expr, old: str, new: str) -> None:
        """Note a mutant with another operator between two operands."""
        start = self.end(left)
        between = self.source[start : self.start(right)].decode()
        at = between.index(old)
        start += len(between[:at].encode())
        self.change(f"{old}-{new}".replace(" ", "_"), start, start + len(old), new)

    # -- numbers and tables of the module -------------------------------------------------------------

    def constant_neighbours(self) -> dict[str, str]:
        """For each name of a const(): the next one, of another value, in the block of lines it is defined in."""
        blocks: list[list[tuple[str, object]]] = [[]]
        last_line = 0
        lines = self.source.splitlines()
        for node in self.tree.body:
            if any(not line.strip() for line in lines[last_line : node.lineno - 1]):
                blocks.append([])
            last_line = node.end_lineno or 0
            if isinstance(node, ast.Assign) and is_const(node.value) and isinstance(node.targets[0], ast.Name):
                assert isinstance(node.value, ast.Call)
                blocks[-1].append((node.targets[0].id, literal(node.value.args[0])))
        neighbours = {}
        for block in blocks:
            for i, (name, value) in enumerate(block):
                others = [other for other, number in block[i + 1 :] + block[:i] if number != value]
                if others:
                    neighbours[name] = others[0]
        return neighbours

    def module_value(self, node: ast.Assign) -> None:
        """The value of a module's assignment: a const(), a table, or an expression."""
        if is_const(node.value):
            assert isinstance(node.value, ast.Call)
            target = node.targets[0]
            self.number(node.value.args[0], isinstance(target, ast.Name) and target.id.endswith("_MS"))
        else:
            self.table(node.value)

    def number(self, node: ast.expr, is_time: bool) -> None:
        """The mutants of one number; an expression of numbers alone is taken as its value."""
        value = literal(node)
        if value is None:
            self.expression(node)
            return
        step = PERIOD_MS if is_time and value >= PERIOD_MS else 1
        seen = {value}
        for kind, other in (("+step", value + step), ("*2", value * 2), ("/2", int(value / 2)), ("=0", 0)):
            if other not in seen:
                seen.add(other)
                self.replace(kind, node, str(other))

    def table(self, node: ast.expr) -> None:
        """The entries of a table; what is no entry is an expression like any other."""
        if isinstance(node, ast.Tuple | ast.List):
            for entry in node.elts:
                self.table(entry)
        elif isinstance(node, ast.Dict):
            for entry in node.values:
                self.table(entry)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("bytes", "array"):
            for entry in node.args:
                self.table(entry)
        elif isinstance(node, ast.Name) and node.id in self.neighbours:
            self.replace("other-name", node, self.neighbours[node.id])
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
            self.expression(node)
        elif literal(node) is not None:
            self.number(node, False)
        else:
            self.expression(node)

    # -- statements -----------------------------------------------------------------------------------

    def statement(self, node: ast.stmt) -> None:
        """The mutants of one statement and of all in it."""
        if isinstance(node, ast.Import | ast.ImportFrom) or is_docstring(node):
            return
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self.definition(node)
            return
        if self.in_function and self.may_be_dropped(node):
            self.replace("drop", node, "pass")
        if isinstance(node, ast.If | ast.While):
            self.condition(node.test)
        if isinstance(node, ast.Return) and node.value is not None:
            self.returned(node.value)
        if isinstance(node, ast.AugAssign):
            self.augmented(node)
        for child in children(node):
            if isinstance(child, ast.stmt):
                self.statement(child)
            elif isinstance(child, ast.expr):
                self.expression(child)

    def definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        """The body of a function or class."""
        is_function = not isinstance(node, ast.ClassDef)
        if is_function and node.name in UNMUTATED_FUNCTIONS:
            return
        self.scope.append(node.name)
        self.in_function += is_function
        self.returns = node.returns.id if is_function and isinstance(node.returns, ast.Name) else ""
        for child in node.body:
            self.statement(child)
        self.in_function -= is_function
        self.scope.pop()

    @staticmethod
    def may_be_dropped(node: ast.stmt) -> bool:
        """Whether the statement does something by itself that can be left out."""
        if isinstance(node, ast.Expr):
            return isinstance(node.value, ast.Call | ast.Await)
        if isinstance(node, ast.Return):
            return node.value is None
        return isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Raise)

    def augmented(self, node: ast.AugAssign) -> None:
        """The operator of `x += y`."""
        old, new = ARITHMETIC[type(node.op)]
        self.operator(node.target, node.value, old + "=", new + "=")

    def returned(self, node: ast.expr) -> None:
        """Another value returned, by what the function says it returns."""
        if isinstance(node, ast.Constant) and isinstance(node.value, bool):
            return  # flipped as a constant
        if self.returns == "bool":
            self.replace("return", node, f"not ({self.text(node)})")
        elif self.returns == "int":
            self.replace("return", node, f"({self.text(node)}) + 1")
        else:
            self.replace("return", node, "0" if self.text(node) == "None" else "None")

    # -- expressions ----------------------------------------------------------------------------------

    def condition(self, node: ast.expr) -> None:
        """A condition forced to one side."""
        if not isinstance(node, ast.Constant):
            self.replace("true", node, "True")
            self.replace("false", node, "False")

    def expression(self, node: ast.expr) -> None:
        """The mutants of one expression and of all in it."""
        if isinstance(node, ast.Compare):
            self.compared(node)
        elif isinstance(node, ast.BoolOp):
            self.joined(node)
        elif isinstance(node, ast.UnaryOp):
            self.unary(node)
        elif isinstance(node, ast.BinOp):
            self.binary(node)
        elif isinstance(node, ast.IfExp):
            self.condition(node.test)
        elif isinstance(node, ast.Constant):
            self.constant(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in EXTREMES:
            other = EXTREMES[node.func.id]
            self.replace(f"{node.func.id}-{other}", node.func, other)
        for child in children(node):
            if isinstance(child, ast.expr):
                self.expression(child)
            elif isinstance(child, ast.comprehension):
                self.expression(child.iter)
                for test in child.ifs:
                    self.condition(test)
                    self.expression(test)
            elif isinstance(child, ast.keyword):
                self.expression(child.value)

    def compared(self, node: ast.Compare) -> None:
        """Each operator of a comparison."""
        left = node.left
        for op, right in zip(node.ops, node.comparators, strict=True):
            old, others = COMPARE[type(op)]
            for new in others:
                self.operator(left, right, old, new)
            left = right

    def joined(self, node: ast.BoolOp) -> None:
        """The operator between conditions, and each condition left out."""
        old, new, neutral = ("and", "or", "True") if isinstance(node.op, ast.And) else ("or", "and", "False")
        text = self.text(node)
        base = self.start(node)
        for left, right in reversed(list(zip(node.values, node.values[1:], strict=False))):
            start, end = self.end(left) - base, self.start(right) - base
            between = text.encode()[start:end].decode().replace(old, new, 1)
            text = (text.encode()[:start] + between.encode() + text.encode()[end:]).decode()
        self.change(f"{old}-{new}", base, self.end(node), text)
        for value in node.values:
            self.replace("drop-term", value, neutral)

    def unary(self, node: ast.UnaryOp) -> None:
        """Not, minus and bitwise invert left out."""
        kind = {ast.Not: "drop-not", ast.USub: "drop-minus", ast.Invert: "drop-invert"}.get(type(node.op))
        if kind:
            self.replace(kind, node, f"({self.text(node.operand)})")

    def binary(self, node: ast.BinOp) -> None:
        """Another operator; a text with values put into it is left alone."""
        if isinstance(node.op, ast.Mod) and isinstance(node.left, ast.Constant) and isinstance(node.left.value, str):
            return
        old, new = ARITHMETIC[type(node.op)]
        self.operator(node.left, node.right, old, new)

    def constant(self, node: ast.Constant) -> None:
        """True and False flipped, a number one more."""
        if isinstance(node.value, bool):
            self.replace("flip", node, str(not node.value))
        elif isinstance(node.value, int):
            self.replace("+1", node, str(node.value + 1))


def children(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a node in which something can be changed: no annotations, no `True` of a `while True`."""
    for field, value in ast.iter_fields(node):
        if field == "annotation" or (field == "test" and isinstance(value, ast.Constant)):
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.AST):
                yield part


def is_const(node: ast.expr) -> bool:
    """Whether the value is const(...)."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "const"


def is_docstring(node: ast.stmt) -> bool:
    """Whether the statement is a text alone."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def literal(node: ast.expr) -> int | None:
    """The value of an expression of whole numbers alone, None of any other."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant):
            if not isinstance(part.value, int) or isinstance(part.value, bool):
                return None
        elif not isinstance(part, ast.BinOp | ast.UnaryOp | ast.operator | ast.unaryop):
            return None
    return eval(compile(ast.Expression(node), "const", "eval"))
