"""Commands about data: the trips of the fault recorder, the installer's report, what can be fetched and sent."""

from wallbox.installer import commands, transfers
from wallbox.installer.server import load


def _trips(link, _arguments):
    return {"trips": load("trips").listed(link.app.recorder)}


async def _report(link, arguments):
    if "checks" in arguments:
        load("report").keep(link.app, arguments["checks"])
    return await transfers.get(link, {"name": "report"})


def _transfers(link, _arguments):
    may = commands.ROLES.index(link.role)

    def rows(registry):
        return [
            {"name": name, "role": registry[name][0], "allowed": commands.ROLES.index(registry[name][0]) <= may}
            for name in sorted(registry)
        ]

    return {"get": rows(transfers.DOWNLOADS), "put": rows(transfers.UPLOADS)}


COMMANDS = {
    "trips": ("owner", _trips),
    "report": ("expert", _report),
    "transfers": ("paired", _transfers),
}
