"""What was last asked of the simulated surroundings, which the state does not tell and every page must show."""

from typing import Any


class World:
    """Switches, sliders and injected faults as the requests that were granted left them."""

    def __init__(self) -> None:
        self.faults: dict[str, Any] = {}
        self.car: dict[str, Any] = {}
        self.ambient = 20
        self.grid = 230
        self.contact = False
        self.network = True
        self.power = True

    def note(self, do: str, arguments: dict) -> bool:
        """Take over a granted request; returns whether it changed anything that is kept here."""
        before = repr(vars(self))
        match do:
            case "fault":
                self.faults[arguments["name"]] = arguments.get("value")
            case "clear":
                self.faults.pop(arguments["name"], None)
            case "car":
                self.car.update(arguments)
            case "plug" | "unplug":
                self.car = {}
            case "ambient":
                self.ambient = arguments["celsius"]
            case "grid":
                volts = arguments.get("volts", self.grid)
                self.grid = max(volts) if isinstance(volts, list) else volts
            case "contact" | "network" | "power":
                setattr(self, do, next(iter(arguments.values()), getattr(self, do)))
        return repr(vars(self)) != before
