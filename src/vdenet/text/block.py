"""The lines around what `join` adds to a guest's configuration: by them `leave` knows it again."""

from __future__ import annotations

BEGIN = "# vdenet: what stands from here to its end is tarr-steps', and goes with tarr-steps leave"
END = "# vdenet: end"
