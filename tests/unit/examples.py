"""How hypothesis is used here: the same examples every time, and nothing left in the tree."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

__all__ = ["TABLES", "st"]

# A failure is a fault of the change, not of the day. A busy machine is no failure.
settings.register_profile("vdenet", deadline=None, database=None, derandomize=True, print_blob=True)
settings.load_profile("vdenet")

# It keeps its tables of characters somewhere.
_tables = tempfile.TemporaryDirectory(prefix="hypothesis-")
TABLES = Path(_tables.name)
set_hypothesis_home_dir(_tables.name)  # type: ignore[no-untyped-call]
