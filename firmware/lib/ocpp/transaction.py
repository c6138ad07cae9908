"""A transaction as this boot began it; loaded for its time."""


class Transaction:
    """One transaction as this boot began it.

    `number` is local and rising, `transaction_id` the central system's (None before its answer, -1 when it never
    answered), `stored` whether the start is on flash, `authorised` None, True or False after the central system's
    word, `refused` the status with which it refused, `heeded` whether the point has drawn the consequence.
    """

    def __init__(self, number: int, stamp: list, id_tag: str, meter_start_wh: int):
        self.number = number
        self.stamp = stamp
        self.id_tag = id_tag
        self.parent_id_tag = None
        self.transaction_id: int | None = None
        self.meter_start_wh = meter_start_wh
        self.meter_wh = meter_start_wh
        self.reservation_id = None
        self.authorised = None
        self.refused = None
        self.heeded = False
        self.stored = True
        # transactionData: the entry of the begin as JSON, and those that came since.
        self.begin_data: str | None = None
        self.data = []
