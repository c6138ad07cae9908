"""Runs the test functions of one file on MicroPython itself; pytest calls it, and so may you."""

import asyncio
import io
import os
import sys

HELP = "micropython tests/unit/run.py tests/unit/test_x.py [part of a test's name ...]"
HERE = "tests/unit/run.py"
# What pytest has compiled already, in the folder that FIRMWARE names: much is loaded again and again in the tests.
FIRMWARE = ("firmware", "firmware/lib", "boards/simulator", ".venv/micropython")


def extend_import_path():
    """Put the firmware, the simulated board, the tests and the installed packages before MicroPython's own path.

    As whole paths: a test may be in another folder.
    """
    if not __file__.endswith(HERE):
        raise SystemExit("run: start as " + HELP)
    root = __file__[: -len(HERE)]
    if not root.startswith("/"):
        root = os.getcwd() + "/" + root
    compiled = os.getenv("FIRMWARE")
    firmware = compiled + "/" if compiled else root
    sys.path[:0] = [firmware + folder for folder in FIRMWARE] + [root + "tests/unit"]


def test_names(path):
    """Return the names of the file's test functions in the order in which they stand there."""
    names = []
    with open(path) as source:
        for line in source:
            if line.startswith("async "):
                line = line[6:]
            if line.startswith("def test_"):
                names.append(line[4 : line.index("(")])
    return names


def run_async(test):
    """Run a coroutine on a fresh loop; an error in a task that nobody awaited is an error of the test."""
    stray = []
    loop = asyncio.get_event_loop()
    loop.set_exception_handler(lambda _loop, context: stray.append(context["exception"]))
    try:
        asyncio.run(test)
    finally:
        loop.set_exception_handler(None)
    if stray:
        raise stray[0]


def run_test(function):
    """Run one test and return None, or its traceback as text. Time sources that it replaced are put back."""
    core = asyncio.core
    ticks, io_queue = core.ticks, core.IOQueue
    asyncio.new_event_loop()
    try:
        result = function()
        if hasattr(result, "send"):
            run_async(result)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a simulated power cut is no Exception, and fails a test all the same
        text = io.StringIO()
        sys.print_exception(error, text)
        return text.getvalue()
    finally:
        core.ticks, core.IOQueue = ticks, io_queue
    return None


def run_file(path, parts):
    """Run the file's tests whose name holds one of `parts` (all when empty); return the count of failures."""
    whole = path if path.startswith("/") else os.getcwd() + "/" + path
    folder, _, name = whole.rpartition("/")
    sys.path.insert(0, folder)
    module = __import__(name[: -len(".py")])
    failed = passed = 0
    for test in test_names(path):
        if parts and not any(part in test for part in parts):
            continue
        traceback = run_test(getattr(module, test))
        if traceback is None:
            passed += 1
            print("PASS", test)
        else:
            failed += 1
            print("FAIL", test)
            print("  " + traceback.rstrip().replace("\n", "\n  "))
    print("%d passed, %d failed" % (passed, failed))
    if not parts and not passed + failed:
        print("no test function in", path)
        return 1
    return failed


def main():
    """Run the file named on the command line; the exit code is 1 when a test failed."""
    if len(sys.argv) < 2 or not sys.argv[1].endswith(".py"):
        raise SystemExit("usage: " + HELP)
    extend_import_path()
    sys.exit(1 if run_file(sys.argv[1], sys.argv[2:]) else 0)


main()
