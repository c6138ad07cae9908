"""idTags with what is known of them, on flash; `tagstore` writes them, `taglook` finds them, and nobody is judged.

Of two files the newer whole one counts, and the other is the next to be written. A file is a line of JSON
[sequence, version], a line [idTag, status, expiry in s since 1970, parentIdTag] for each tag, the last two left out
where there are none, and a line with the count of tags and the CRC-32 of all before it. Without that last line it is
nothing, so power may be cut at any write.
"""

from ocpp.rare import Rare, borrow


class TagFile(Rare):
    """The list in the files `path` + 0 and 1: its `version` and `count` of tags, the file in use or None, its number.

    What had to be given up is logged; a list that cannot be read is empty.
    """

    RARE = "taglook find"

    def __init__(self, path: str, log):
        self.path = path
        self.log = log
        self.slot = None
        self.sequence = self.version = self.count = 0
        borrow("tagstore").restore(self)
