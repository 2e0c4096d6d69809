"""How much one account may ask of the daemon, so that it hurts nobody else."""

from __future__ import annotations

import threading
import time
from collections import Counter

from vdenet.errors import QuotaExceeded
from vdenet.i18n import _

MAX_CONNECTIONS = 8
MAX_ALL_CONNECTIONS = 128
MAX_OPERATIONS = 20
"""Operations a second."""
MAX_TAPS = 32


class Quota:
    """Counts connections and operations by uid; safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: Counter[int] = Counter()
        self._buckets: dict[int, tuple[float, float]] = {}

    def connect(self, uid: int) -> bool:
        """Count a connection in; False when it is one too many. Root is only bounded by the whole."""
        with self._lock:
            if self._connections.total() >= MAX_ALL_CONNECTIONS \
                    or (uid != 0 and self._connections[uid] >= MAX_CONNECTIONS):
                return False
            self._connections[uid] += 1
            return True

    def disconnect(self, uid: int) -> None:
        """Count a connection out."""
        with self._lock:
            self._connections[uid] -= 1
            if self._connections[uid] <= 0:
                del self._connections[uid]

    def operation(self, uid: int) -> None:
        """Count an operation. Raises `QuotaExceeded` above the rate; root has none."""
        if uid == 0:
            return
        now = time.monotonic()
        with self._lock:
            tokens, since = self._buckets.get(uid, (float(MAX_OPERATIONS), now))
            tokens = min(float(MAX_OPERATIONS), tokens + (now - since) * MAX_OPERATIONS)
            if tokens < 1:
                self._buckets[uid] = (tokens, now)
                raise QuotaExceeded(what=_("do that"), limit=MAX_OPERATIONS, unit=_("operations a second"))
            self._buckets[uid] = (tokens - 1, now)
