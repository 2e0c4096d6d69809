"""A plan: steps in order, each with the steps that take it back."""

from __future__ import annotations

from dataclasses import dataclass

from vdenet.model.steps import Step


@dataclass(frozen=True, slots=True)
class Change:
    """A step, and the steps that take it back in the order to be carried out."""

    step: Step
    undo: tuple[Step, ...] = ()


Plan = tuple[Change, ...]
