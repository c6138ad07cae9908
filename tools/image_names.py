"""Gives the modules of an image fewer names: the interpreter keeps each name in RAM for good, but only once.

New names are given to what is not seen from the outside: parameters, the private attributes that hold the state of
instances, and a module's private variables. They are names that every MicroPython has anyway, and then a few that all
modules share. Functions, methods, classes and modules keep theirs, so that a traceback can be read. Whatever is written
in a text keeps its name too: it may be given to `getattr`, or be a table of names.
"""

import ast
import itertools
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

# Names in the table that is part of the .mpy format (static_qstr_list of MicroPython's makeqstrdata.py).
_FREE = """
self value values key keys index items count start stop step end args sep little main bytecode find rfind rindex join
lower upper split rsplit strip lstrip rstrip insert append extend clear copy remove replace reverse sort pop popitem
setdefault isalpha isdigit islower isspace isupper endswith startswith format update
"""
# Others in it, of the language: a variable of that name would hide them, but nobody uses them where it gets the name.
_BUILTIN = """
abs all any bool bytearray bytes callable chr dict dir divmod eval exec getattr globals hasattr hash id int isinstance
issubclass iter len list locals map next object open ord pow print range repr round set setattr sorted str sum super
type zip ArithmeticError BaseException EOFError Ellipsis GeneratorExit ImportError IndentationError LookupError
NameError NoneType NotImplementedError OverflowError StopIteration SyntaxError SystemExit
"""
FREE = tuple(_FREE.split())
BUILTIN = tuple(_BUILTIN.split())


def is_private(name: str) -> bool:
    """Whether a name is for its module or class alone."""
    return name.startswith("_") and not name.startswith("__")


def free_names(taken: Collection[str]) -> Iterator[str]:
    """New names: those that cost nothing, and then short ones that cost something once."""
    names = itertools.chain(FREE, BUILTIN, (f"_{number}" for number in itertools.count()))
    return (name for name in names if name not in taken)


# What stands in a program


def bound(node: ast.AST) -> list[str]:
    """Names that a node binds or declares otherwise than as a plain name or an argument."""
    match node:
        case ast.Import() | ast.ImportFrom():
            return [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return [node.name]
        case ast.ExceptHandler(name=str(name)):
            return [name]
        case ast.Global() | ast.Nonlocal():
            return node.names
    return []


def stored(node: ast.AST) -> list[str]:
    """Names that a node binds, declares or deletes."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
            return [name]
    return bound(node)


def identifiers(nodes: Iterable[ast.AST]) -> set[str]:
    """Every name, in whatever scope, that stands in these parts of a program; attributes are none."""
    parts = (part for top in nodes for part in ast.walk(top))
    return {name for part in parts for name in ([part.id] if isinstance(part, ast.Name) else stored(part))}


def words(tree: ast.AST) -> set[str]:
    """What could be a name in the texts of a module; its docstrings are not compiled."""
    docs = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docs:
            found.update(re.findall(r"[A-Za-z_]\w*", node.value))
    return found


def keywords(tree: ast.AST) -> set[str]:
    """The names by which arguments are given anywhere in a module."""
    return {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg}


def attributes(tree: ast.AST) -> set[str]:
    """The names of all attributes in a module."""
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def imported(tree: ast.AST) -> set[str]:
    """What a module takes from others by name."""
    aliases = (node.names for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return {alias.name for names in aliases for alias in names}


def aliases(tree: ast.AST) -> set[str]:
    """The names by which a module knows what has another name where it is imported from."""
    found = (node.names for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))
    return {alias.asname for names in found for alias in names if alias.asname}


def replace_names(nodes: Iterable[ast.AST], new: dict[str, str]) -> None:
    """Give variables and arguments in these parts of a program their new names."""
    for node in (part for top in nodes for part in ast.walk(top)):
        if isinstance(node, ast.Name):
            node.id = new.get(node.id, node.id)
        elif isinstance(node, ast.arg):
            node.arg = new.get(node.arg, node.arg)
        elif isinstance(node, ast.Global):
            node.names = [new.get(name, name) for name in node.names]


# Parameters


def rename_parameters(tree: ast.Module, given: set[str]) -> None:
    """Rename what functions call their arguments, but for the names in `given`: those that calls may use.

    A name means the same in a function and in those within it, or is a variable of its own there: so all of them are
    renamed alike. Left alone are functions with a class in them, whose names are attributes, and with something that
    takes any keyword, which may be the new name.
    """
    # An outer function comes before those in it.
    for function in (node for node in ast.walk(tree) if isinstance(node, Function)):
        body = function.body if isinstance(function.body, list) else [function.body]
        inside = [node for part in (*body, function.args) for node in ast.walk(part)]
        if any(isinstance(node, ast.ClassDef) or getattr(node, "kwarg", None) for node in inside):
            continue
        fixed = given.union(FREE, *map(bound, inside))
        free = free_names(identifiers(inside))
        arguments = (*function.args.posonlyargs, *function.args.args)
        new = {argument.arg: next(free) for argument in arguments if argument.arg not in fixed}
        # A default belongs to the scope around the function.
        replace_names([*arguments, *body], new)


# A module's variables


def rename_variables(tree: ast.Module, seen: set[str], modules: set[str]) -> None:
    """Rename a module's private variables, but for the names in `seen`: those others may look for, in any module.

    A module within a package becomes a variable of it, so a new name is none of `modules` either. The compiler itself
    drops the name of a private constant.
    """
    inside = [node for node in ast.walk(tree) if node is not tree]
    fixed = seen.union(*(bound(node) for node in inside if not isinstance(node, ast.Global)))
    fixed.update(*map(class_names, (node for node in inside if isinstance(node, ast.ClassDef))))
    free = free_names(identifiers([tree]) | seen | modules)
    new: dict[str, str] = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="const"))):
                continue
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                if is_private(name) and name not in fixed and name not in new:
                    new[name] = next(free)
    replace_names([tree], new)


def class_names(node: ast.ClassDef) -> set[str]:
    """The names that a class has by its body."""
    parts = (ast.walk(part) for part in node.body if not isinstance(part, Function))
    return {name for part in itertools.chain(node.body, *parts) for name in stored(part)}


# Attributes


def own_attributes(tree: ast.Module) -> Iterator[tuple[str, ast.Attribute]]:
    """The attributes that a class's methods store and read of their own instance, with the name of the class."""
    for owner in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        for method in owner.body:
            if not isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) or not method.args.args:
                continue
            if {"staticmethod", "classmethod"} & set(map(ast.unparse, method.decorator_list)):
                continue
            me = method.args.args[0].arg
            inside = [node for part in method.body for node in ast.walk(part)]
            if me in set().union(*map(stored, inside)):
                continue
            for node in inside:
                match node:
                    case ast.Attribute(value=ast.Name(id=name)) if name == me:
                        yield owner.name, node


def families(trees: Iterable[ast.Module]) -> dict[str, frozenset[str]]:
    """Each class with all that it derives from, that derive from it, and their relatives; by name, `object` is none."""
    found: dict[str, frozenset[str]] = {}
    for node in (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        relatives = {node.name, *map(ast.unparse, node.bases)} - {"object"}
        family = frozenset().union(*(found.get(name, {name}) for name in relatives))
        found.update(dict.fromkeys(family, family))
    return found


def rename_attributes(trees: list[ast.Module], others: Collection[ast.Module], seen: set[str]) -> None:
    """Rename the private attributes of instances that none but the instance's own methods mention.

    The names in `seen` keep theirs, and all that a class of a family mentions whose members are not all known.
    """
    own = [pair for tree in trees for pair in own_attributes(tree)]
    nodes = {node for _owner, node in own}
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    known = {node.name for node in classes}.difference(*map(aliases, [*trees, *others]))
    related = families([*trees, *others])
    fixed = seen.union(*map(class_names, classes), *map(attributes, others))
    fixed |= {
        node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node not in nodes
    }
    fixed |= {node.attr for owner, node in own if not related[owner] <= known}
    wanted: defaultdict[frozenset[str], set[str]] = defaultdict(set)
    for owner, node in own:
        if is_private(node.attr) and node.attr not in fixed:
            wanted[related[owner]].add(node.attr)
    taken = fixed.union(*map(attributes, trees))
    new = {family: dict(zip(sorted(names), free_names(taken), strict=False)) for family, names in wanted.items()}
    for owner, node in own:
        node.attr = new.get(related[owner], {}).get(node.attr, node.attr)


def shorten(sources: dict[str, ast.Module], others: Collection[ast.Module]) -> None:
    """Rename in modules, by their dotted names, what can be renamed without `others`, who use them, seeing it."""
    trees = list(sources.values())
    everywhere = [*trees, *others]
    texts = set().union(*map(words, everywhere))
    given = texts.union(*map(keywords, everywhere))
    seen = given.union(*map(imported, everywhere))
    rename_attributes(trees, others, seen)
    seen = seen.union(*map(attributes, everywhere))
    modules = {part for name in sources for part in name.split(".")}
    for tree in trees:
        rename_variables(tree, seen, modules)
        rename_parameters(tree, given)
