"""What can go wrong between charge point and central system, by name; no decisions are taken here."""

# Error codes of a CALLERROR (OCPP-J 1.6, table 7). Peers spell them differently, so any text is taken from them.
NOT_IMPLEMENTED = "NotImplemented"
NOT_SUPPORTED = "NotSupported"
INTERNAL = "InternalError"
PROTOCOL = "ProtocolError"
SECURITY = "SecurityError"
FORMATION = "FormationViolation"
PROPERTY = "PropertyConstraintViolation"
# The specification spells it "Occurence..."; its errata and the peers in the field put the second r.
OCCURRENCE = "OccurrenceConstraintViolation"
TYPE = "TypeConstraintViolation"
GENERIC = "GenericError"


class OcppError(Exception):
    """Base of every error that this package raises by name."""


class CallError(OcppError):
    """A CALL that was refused: by the central system, or by us when a handler or a check raises it.

    `code` is an error code (any text when the peer sent it), `description` a sentence of up to 255 characters,
    `details` an object of further fields.
    """

    def __init__(self, code: str, description: str = "", details=None):
        super().__init__(code, description)
        self.code = code
        self.description = description
        self.details = {} if details is None else details


class Silent(OcppError):
    """A CALL of the central system gets no answer, since it has rejected this charge point (OCPP 1.6, 4.2)."""


class NotConnected(OcppError):
    """There is no link, or it ended before the answer came."""


class CallTimeout(OcppError):
    """The central system did not answer a CALL in time."""
