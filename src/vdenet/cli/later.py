"""Verbs of the contract that this version does not have: they say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

import typer

from vdenet.cli.complain import NotAvailable


def command(verb: str) -> Callable[..., None]:
    """The command that refuses `verb`, whatever follows it."""
    def refuse(rest: Optional[list[str]] = typer.Argument(None, hidden=True)) -> None:
        raise NotAvailable(what=verb)
    return refuse
