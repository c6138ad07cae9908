"""Answers to the calls of a central system, one module a group, loaded for the call and let go afterwards.

A module's HANDLERS gives for each action a coroutine function (point, payload) -> answer; payload and answer are
checked against the specification by whoever calls it. CallError refuses.
"""

from ocpp.errors import NOT_IMPLEMENTED, CallError

# A line a module: its name, and what it answers.
_MODULES = """
core ChangeAvailability ChangeConfiguration GetConfiguration ClearCache DataTransfer UnlockConnector Reset
remote RemoteStartTransaction RemoteStopTransaction TriggerMessage ExtendedTriggerMessage
local_list GetLocalListVersion SendLocalList
reservation ReserveNow CancelReservation
charging SetChargingProfile ClearChargingProfile GetCompositeSchedule
upkeep GetDiagnostics UpdateFirmware GetLog SignedUpdateFirmware
certificates CertificateSigned InstallCertificate DeleteCertificate GetInstalledCertificateIds
"""


def module_of(action: str) -> str:
    """The module that answers `action`; CallError for one that no charge point answers."""
    for line in _MODULES.split("\n"):
        names = line.split()
        if action in names[1:]:
            return names[0]
    raise CallError(NOT_IMPLEMENTED, "%s: not an action that a charge point answers" % action[:40])
