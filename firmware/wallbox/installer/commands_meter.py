"""Commands for the external meter: search for it (R19), check by steps of the charge how it is wired (R36)."""

from wallbox.installer import errors


def _job(link, arguments, name: str) -> dict:
    jobs = link.app.jobs
    if "start" in arguments:
        if errors.flag(arguments, "start"):
            errors.now_or_never(jobs.start, name)
        else:
            jobs.cancel(name)
    return jobs.status(name)


def _scan(link, arguments):
    return {"scan": _job(link, arguments, "scan")}


def _check_meter(link, arguments):
    return {"check": _job(link, arguments, "selfcheck")}


COMMANDS = {"scan": ("expert", _scan), "check_meter": ("expert", _check_meter)}
