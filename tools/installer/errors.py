"""Everything that can go wrong, each with its exit code; a text is one line for the person at the terminal."""

EXIT_DONE = 0
EXIT_NO = 1
EXIT_USAGE = 2
EXIT_LINK = 3
EXIT_ACCESS = 4
EXIT_VALUE = 5
EXIT_NOT_NOW = 6
EXIT_BOX = 7
EXIT_FILE = 8
EXIT_INTERRUPTED = 130
# As a shell tells of a program that SIGPIPE has ended.
EXIT_READER_GONE = 141

EXIT_CODES = {
    EXIT_DONE: "done",
    EXIT_NO: "done, and the answer is no: a check failed, the wizard is not complete, files differ",
    EXIT_USAGE: "the command line is wrong",
    EXIT_LINK: "no connection, or it was lost",
    EXIT_ACCESS: "passkey, password or role refused, or locked after wrong tries",
    EXIT_VALUE: "a value is not allowed",
    EXIT_NOT_NOW: "the state of the wallbox does not allow it now",
    EXIT_BOX: "the wallbox failed: flash memory, unknown command, internal mistake",
    EXIT_FILE: "a file on this computer cannot be read or written",
    EXIT_INTERRUPTED: "interrupted",
    EXIT_READER_GONE: "whoever read the result, such as `head`, went away",
}
# Error code of the protocol -> exit code; what is not here is the wallbox's failure.
_BY_CODE = {
    "bad_value": EXIT_VALUE,
    "not_allowed": EXIT_ACCESS,
    "wrong_password": EXIT_ACCESS,
    "locked": EXIT_ACCESS,
    "not_now": EXIT_NOT_NOW,
}


class InstallerError(Exception):
    """Something the command cannot go on from; `exit_code` says what kind it is."""

    exit_code = EXIT_LINK
    code = "link"

    def as_dict(self) -> dict:
        """What --json shows of it."""
        return {"code": self.code, "text": str(self)}


class NoConnection(InstallerError):
    """The wallbox cannot be reached, or speaks another version."""

    code = "no_connection"


class LinkLost(InstallerError):
    """The connection broke, or an answer did not come in time."""

    code = "link_lost"


class PairingRefused(InstallerError):
    """The passkey is wrong, or pairing is refused for a while."""

    exit_code = EXIT_ACCESS
    code = "pairing_refused"


class UsageError(InstallerError):
    """The command line lacks something or contradicts itself."""

    exit_code = EXIT_USAGE
    code = "usage"


class ValueRefused(InstallerError):
    """A value was found wrong before it was sent; the text names it and what is allowed."""

    exit_code = EXIT_VALUE
    code = "bad_value"


class FileError(InstallerError):
    """A file on this computer cannot be read or written."""

    exit_code = EXIT_FILE
    code = "file"


class TransferFailed(InstallerError):
    """A transfer came to no end although the connection stands."""

    exit_code = EXIT_BOX
    code = "transfer"


class Refused(InstallerError):
    """The wallbox answered with an error: `code`, `field` (or None), text, `wait_s` (or None)."""

    def __init__(self, error: dict):
        self.code = str(error.get("code", "internal"))
        self.field = error.get("field")
        self.wait_s = error.get("wait_s")
        self.exit_code = _BY_CODE.get(self.code, EXIT_BOX)
        text = str(error.get("text") or self.code.replace("_", " "))
        if self.code == "not_allowed" and self.field:
            text += f" (needs the role {self.field})" if str(self.field) not in text else ""
        elif self.field and str(self.field) not in text:
            text = f"{self.field}: {text}"
        if self.wait_s and str(self.wait_s) not in text:
            text += f"; the next try is possible in {self.wait_s} s"
        super().__init__(text)

    def as_dict(self) -> dict:
        """What --json shows of it: as the wallbox said it."""
        shown = super().as_dict()
        for name in ("field", "wait_s"):
            if getattr(self, name) is not None:
                shown[name] = getattr(self, name)
        return shown
