"""A charge point of nothing but what idTags and reservations need."""

from storage_help import Log, scratch

from wallbox.storage.store import Store

NOW = 1769860800  # 2026-01-31T12:00:00Z
LATER = "2026-01-31T12:00:01Z"
PAST = "2026-01-31T12:00:00Z"
PROFILES = ("Core", "LocalAuthListManagement", "Reservation")


class Config(dict):
    """Configuration keys as the package's own class shows them."""

    def __init__(self, **changes):
        super().__init__()
        self.listeners = []
        self.update(
            LocalAuthListEnabled=True,
            AuthorizationCacheEnabled=True,
            LocalPreAuthorize=False,
            LocalAuthorizeOffline=True,
            AllowOfflineTxForUnknownId=False,
            SupportedFeatureProfiles=PROFILES,
            LocalAuthListMaxLength=100,
            SendLocalListMaxLength=100,
            ReserveConnectorZeroSupported=True,
        )
        self.update(changes)

    def change(self, name, value):
        self[name] = value
        for listener in self.listeners:
            listener(name)


class Clock:
    def __init__(self, utc=NOW):
        self.utc = utc

    def utc_s(self):
        return self.utc

    def uptime_s(self):
        return 100


class Station:
    def __init__(self):
        self.registered = ()

    def knows(self, id_tag):
        return id_tag in self.registered


class Status:
    def __init__(self):
        self.conflicts = 0
        self.looks = 0
        self.one = "Available"
        self.zero = "Available"

    def local_list_conflict(self):
        self.conflicts += 1

    def look(self):
        self.looks += 1

    def connector(self):
        return self.one, "NoError", "", ""

    def whole(self):
        return self.zero


class Point:
    """`answers` are what the central system says to one Authorize after the other: idTagInfo or an error."""

    def __init__(self, folder, **config):
        self.folder = folder
        self.config = Config(**config)
        self.clock = Clock()
        self.log = Log()
        self.station = Station()
        self.status = Status()
        self.online = False
        self.remote_tag = None
        self.writes = (0, 0, 0)
        self.answers = []
        self.asked = []

    def stores(self, name):
        return Store(self.folder, name, 1, self.log)

    async def call(self, action, payload, message_id=None):
        self.asked.append((action, payload))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"idTagInfo": answer}


def point(name, **config):
    """A charge point with an empty flash."""
    return Point(scratch("ocpp-" + name), **config)


def answering(name, *answers, **config):
    """An online charge point whose central system answers so."""
    one = point(name, **config)
    one.online = True
    one.answers = list(answers)
    return one


def entry(id_tag, status="Accepted", **info):
    """An AuthorizationData."""
    return {"idTag": id_tag, "idTagInfo": dict(info, status=status)}


def update(version, kind, *entries):
    """A SendLocalList.req."""
    return {"listVersion": version, "updateType": kind, "localAuthorizationList": list(entries)}
