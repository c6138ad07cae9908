"""The package `ocpp` as others get it: what mip installs is whole, and its example is a charging station."""

import ast
import functools
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from csms import Csms

from ocpp.v16.enums import Action
from simulator import MICROPYTHON, ROOT, Simulator

LIB = ROOT / "firmware" / "lib"
CONSOLE = LIB / "ocpp" / "examples" / "console.py"
CARD = "04A1B2C3"
SECONDS = 20.0


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A web server for a folder, by its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def imported(path: Path) -> set[str]:
    """The modules of firmware/lib beside the package that a module imports."""
    names = {
        name.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import)
        for name in node.names
    }
    nodes = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom))
    names |= {node.module for node in nodes if node.module}
    return {f"{name}.py" for name in names if (LIB / f"{name}.py").exists()}


def test_the_list_for_mip_names_exactly_what_the_package_needs():
    urls = json.loads((LIB / "package.json").read_text())["urls"]
    assert all(target == source for target, source in urls)
    wanted = {path for path in LIB.glob("ocpp/**/*.py") if "examples" not in path.parts}
    siblings: set[str] = set()
    looked: set[Path] = set()
    waiting = set(wanted)
    while waiting:
        path = waiting.pop()
        looked.add(path)
        found = imported(path)
        siblings |= found
        waiting |= {LIB / name for name in found} - looked
    assert sorted(target for target, _ in urls) == sorted([str(path.relative_to(LIB)) for path in wanted] + [*siblings])


@contextmanager
def console(folder: Path, library: Path, url: str) -> Iterator[subprocess.Popen]:
    """The example, started in `folder` with the package in `library`."""
    path = f".frozen:{library}"
    process = subprocess.Popen(
        [MICROPYTHON, CONSOLE, url, "console"],
        cwd=folder,
        env=dict(os.environ, MICROPYPATH=path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def press(process: subprocess.Popen, key: str) -> None:
    """Type a key and Enter."""
    assert process.stdin is not None
    process.stdin.write(key.encode() + b"\n")
    process.stdin.flush()


def test_the_example_charges_with_what_mip_has_installed(csms: Csms, tmp_path: Path):
    library = tmp_path / "lib"
    with served(LIB) as address:
        program = f"import mip; mip.install('{address}/package.json', target={str(library)!r}, mpy=False)"
        subprocess.run([MICROPYTHON, "-c", program], check=True, capture_output=True)
    with console(tmp_path, library, csms.url) as process:
        csms.wait_connected("console")
        csms.registered()
        press(process, "p")
        press(process, "c")
        start = csms.wait_for(Action.start_transaction, seconds=SECONDS).payload
        assert (start["idTag"], start["connectorId"]) == (CARD, 1)
        press(process, "c")
        stop = csms.wait_for(Action.stop_transaction, seconds=SECONDS).payload
        assert stop.get("reason", "Local") == "Local" and stop["meterStop"] >= start["meterStart"]
        press(process, "q")
        output, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, output
    assert b"card" in output and b"Traceback" not in output, output


# -- the image -------------------------------------------------------------------------------------------


def bound(body: list[ast.stmt], module: Callable[[ast.AST], str | None]) -> dict[str, str]:
    """Names that statements give to borrowed modules, as in `values = borrow("values") if stored else None`."""
    names: dict[str, str] = {}
    for node in (node for statement in body for node in ast.walk(statement)):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found = next(filter(None, map(module, ast.walk(value))), None)
                if found and not any(isinstance(part, ast.Attribute) for part in ast.walk(value)):
                    names[name] = found
    return names


def borrowed(path: Path) -> set[tuple[str, str]]:
    """What a module uses of those that it loads by name: (module of package ocpp, name in it)."""

    def module(node: ast.AST) -> str | None:
        match node:
            case ast.Call(func=ast.Name(id="borrow"), args=[ast.Constant(value=str(name))]):
                return name
        return None

    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    own = bound([node for node in tree.body if isinstance(node, ast.Assign)], module)
    uses: set[tuple[str, str]] = set()
    for part in [*functions, tree]:
        names = {**own, **bound(part.body, module)}
        for node in ast.walk(part):
            if isinstance(node, ast.Attribute):
                found = module(node.value)
                if found is None and isinstance(node.value, ast.Name):
                    found = names.get(node.value.id)
                if found:
                    uses.add((found, node.attr))
            match node:
                case ast.Assign(targets=[ast.Name(id="RARE")], value=ast.Constant(value=str(table))):
                    for line in table.strip().splitlines():
                        name, *methods = line.split()
                        uses.update((name, method) for method in methods)
    return uses


def answered() -> list[str]:
    """The lines of `ocpp.handlers`: a module, and the actions that it answers."""
    for node in ast.parse((LIB / "ocpp/handlers/__init__.py").read_text()).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="_MODULES")], value=ast.Constant(value=str() as text)):
                return text.strip().split("\n")
    raise AssertionError("no table of handlers")


def tables() -> list[str]:
    """The modules that `ocpp.schema` loads for the fields of a message."""
    for node in ast.parse((LIB / "ocpp/schema.py").read_text()).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="_OTHERS")], value=value):
                return list(ast.literal_eval(value))
    raise AssertionError("no list of tables")


def test_what_is_loaded_by_name_is_in_the_image_with_all_that_is_used_of_it(flashed: Path):
    library = flashed / "firmware" / "lib"
    assert not (library / "ocpp" / "examples").exists()
    sources = [path for path in LIB.glob("ocpp/**/*.py") if "examples" not in path.parts]
    for source in sources:
        assert (library / source.relative_to(LIB)).with_suffix(".mpy").exists()
    uses = sorted(set().union(*map(borrowed, sources)))
    assert len(uses) > 20 and ("keys", "TABLE") in uses and ("tagstore", "lines") in uses
    program = (
        f"import sys; sys.path.insert(0, {str(library)!r})\n"
        "from ocpp.rare import borrow\nfrom ocpp import handlers\n"
        f"for name, what in {uses!r}:\n    assert hasattr(borrow(name), what), (name, what)\n"
        f"for line in {answered()!r}:\n"
        "    name, *actions = line.split()\n"
        "    assert all(handlers.module_of(action) == name for action in actions), name\n"
        "    found = borrow('handlers.' + name).HANDLERS\n"
        "    assert sorted(found) == sorted(actions), name\n"
        f"for name in {tables()!r}:\n    borrow(name).TABLE\n"
    )
    subprocess.run([MICROPYTHON, "-c", program], check=True)


def test_the_image_of_the_firmware_charges_for_a_central_system(
    flashed: Path, csms: Csms, station: Callable[..., Simulator]
):
    box = station(settings={"access_control": True}, program=(str(flashed / "boards/simulator/run.py"),))
    csms.registered()
    box.plug()
    assert csms.call("RemoteStartTransaction", {"idTag": CARD})["status"] == "Accepted"
    number = csms.wait_transaction(lambda one: one["idTag"] == CARD and one["id"], SECONDS)["id"]
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 8.0}]},
    }
    answer = csms.call("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile})
    assert answer == {"status": "Accepted"}
    tags = [{"idTag": CARD, "idTagInfo": {"status": "Accepted"}}]
    asked = {"listVersion": 1, "updateType": "Full", "localAuthorizationList": tags}
    assert csms.call("SendLocalList", asked) == {"status": "Accepted"}
    assert len(csms.call("GetConfiguration")["configurationKey"]) > 40
    assert csms.call("RemoteStopTransaction", {"transactionId": number})["status"] == "Accepted"
    assert csms.wait_transaction(lambda one: one["stops"], SECONDS)["reason"] == "Remote"
