"""The wallbox of one command: the way to it, who the person is to it, and the secrets that proves."""

import os
from argparse import Namespace

from installer.client import Client
from installer.errors import UsageError, ValueRefused
from installer.terminal import Terminal
from installer.transports import Way
from installer.transports.websocket import DEFAULT_URL, WebSocketWay

PASSKEY_ENV = "WALLBOX_PASSKEY"
PASSWORD_ENV = {"owner": "WALLBOX_OWNER_PASSWORD", "expert": "WALLBOX_EXPERT_PASSWORD"}
NEW_PASSWORD_ENV = "WALLBOX_NEW_PASSWORD"
BACKUP_PASSWORD_ENV = "WALLBOX_BACKUP_PASSWORD"
ADDRESS_ENV = "WALLBOX_ADDRESS"
PASSKEY_DIGITS = 6


class Secrets:
    """Passkey and passwords: from options, else from the environment, else typed; asked for once, shown never."""

    def __init__(self, options: Namespace, terminal: Terminal):
        self._options = options
        self._terminal = terminal
        self._passkey = ""

    async def passkey(self) -> str:
        """Six digits of the label; ValueRefused for anything else."""
        if not self._passkey:
            passkey = self._options.passkey or os.environ.get(PASSKEY_ENV, "")
            if not passkey:
                passkey = await self._terminal.secret("Passkey on the label", f"--passkey or {PASSKEY_ENV}")
            passkey = passkey.replace(" ", "")
            if not (len(passkey) == PASSKEY_DIGITS and passkey.isascii() and passkey.isdigit()):
                raise ValueRefused(f"passkey: {len(passkey)} characters are not allowed; allowed: 6 digits")
            self._passkey = passkey
        return self._passkey

    def given(self, role: str) -> str | None:
        """The password of a role, when it was given without being asked for."""
        option = getattr(self._options, f"{role}_password")
        return option if option is not None else os.environ.get(PASSWORD_ENV[role])

    async def password(self, role: str) -> str:
        """The password of a role."""
        given = self.given(role)
        if given is not None:
            return given
        return await self._terminal.secret(f"Password of the {role}", f"--{role}-password or {PASSWORD_ENV[role]}")

    async def backup(self, option: str | None, twice: bool) -> str:
        """The password of a backup."""
        given = option if option is not None else os.environ.get(BACKUP_PASSWORD_ENV)
        if given is not None:
            return given
        how = f"--password or {BACKUP_PASSWORD_ENV}"
        password = await self._terminal.secret("Password of the backup", how)
        if twice and await self._terminal.secret("Password of the backup again", how) != password:
            raise UsageError("the two passwords differ; nothing was fetched")
        return password


def make_way(options: Namespace, secrets: Secrets) -> Way:
    """The way that the options or the environment choose: the simulator when nothing is said."""
    ws, radio, ble = options.ws, options.radio, options.ble
    if ws is None and radio is None and ble is None:
        ws, radio, ble = parse_address(os.environ.get(ADDRESS_ENV, ""))
    if radio is not None:
        from installer.transports.radio import RadioWay

        return RadioWay(radio, secrets.passkey, options.box or "")
    if ble is not None:
        from installer.transports.ble import BleWay

        return BleWay(ble)
    return WebSocketWay(ws or DEFAULT_URL, secrets.passkey)


def parse_address(text: str) -> tuple[str | None, int | None, str | None]:
    """(URL, radio port, name) of what WALLBOX_ADDRESS says; ValueRefused when it says nothing known."""
    kind, _, rest = text.partition(":")
    if not text or kind in ("ws", "wss"):
        return text or None, None, None
    if kind == "radio" and rest.isdecimal():
        return None, int(rest), None
    if kind == "ble":
        return None, None, rest
    raise ValueRefused(f"{ADDRESS_ENV}: {text!r} is not allowed; allowed: ws://…, radio:PORT, ble:NAME")


class Box:
    """An open wallbox; use it as an async context manager."""

    def __init__(self, options: Namespace, terminal: Terminal):
        self._secrets = Secrets(options, terminal)
        self._terminal = terminal
        self._way = make_way(options, self._secrets)
        self.client = Client(self._way.open, on_notice=terminal.note)
        self._role = "paired"

    async def __aenter__(self) -> "Box":
        try:
            await self.client.__aenter__()
        except BaseException:
            await self._way.close()
            raise
        return self

    async def __aexit__(self, *error) -> None:
        try:
            await self.client.__aexit__(*error)
        finally:
            await self._way.close()

    async def ask(self, do: str, /, **arguments) -> dict:
        """A request; see `Client.request`."""
        return await self.client.request(do, **arguments)

    async def be(self, role: str) -> None:
        """Log in as `role` if need be; an expert is an owner too.

        Nobody is asked for an owner's password that was never set.
        """
        if self._role in (role, "expert"):
            return
        if role == "owner":
            role, password = await self._owner()
        else:
            password = await self._secrets.password(role)
        await self.client.login(role, password)
        self._role = role

    def forget_role(self) -> None:
        """The wallbox has restarted: what comes next logs in anew by itself."""
        self._role = "paired"

    async def new_backup_password(self, option: str | None) -> str:
        """The password that encrypts the secrets of a new backup, typed twice."""
        return await self._secrets.backup(option, twice=True)

    async def backup_password(self, option: str | None, content: bytes) -> str | None:
        """The password of a backup; nobody is asked when it holds no secrets."""
        if option is None and BACKUP_PASSWORD_ENV not in os.environ and b'"secrets": null' in content:
            return None
        return await self._secrets.backup(option, twice=False)

    async def _owner(self) -> tuple[str, str]:
        if self._secrets.given("owner") is None:
            if not self.client.hello.get("app_password_set"):
                return "owner", ""
            expert = self._secrets.given("expert")
            if expert is not None:
                return "expert", expert
        return "owner", await self._secrets.password("owner")
