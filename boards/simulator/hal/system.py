"""Reset, entropy and identity of the simulated board."""

from plant import board
from plant.board import FirmwareReset


def reset_cause() -> str:
    """Why the firmware started: "power_on", "watchdog" or "software"."""
    return board.plant.reset_cause


def reset(reason: str):
    """Restart the board; never returns (it raises FirmwareReset, which only the simulator catches)."""
    plant = board.plant
    plant.sync()
    plant.restart("software")
    raise FirmwareReset(reason)


def random(low: int, high: int) -> int:
    """A number in low..high inclusive, from hardware entropy on a real board, here from the plant's seed."""
    return board.plant.entropy.between(low, high)


def random_bytes(count: int) -> bytes:
    """`count` bytes fit for keys, from hardware entropy on a real board, here from the plant's seed."""
    return bytes([board.plant.secrets.between(0, 255) for _ in range(count)])


def serial() -> str:
    """Serial number of the board."""
    return "SIM%07d" % board.plant.seed
