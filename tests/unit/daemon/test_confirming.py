from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import cast

import pytest

from vdenet.daemon import confirming
from vdenet.daemon.engine import Engine
from vdenet.daemon.members import Caller
from vdenet.errors import Refused
from vdenet.model.places import Places


def test_what_was_asked_for_is_what_cannot_be_done(places: Places) -> None:
    engine = cast(Engine, SimpleNamespace(lock=threading.RLock(), places=places))
    for ask, told in ((confirming.confirm, "cannot confirm: "), (confirming.take_back, "cannot take a change back: ")):
        with pytest.raises(Refused, match=f"{told}no change of vdenet0 waits for it"):
            ask(engine, Caller(1000, "alice"), "vdenet0")
