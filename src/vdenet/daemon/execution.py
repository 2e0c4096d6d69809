"""Carries a plan out, step by step; where one fails, what was done before it can be taken back."""

from __future__ import annotations

from collections.abc import Callable

from vdenet.daemon.log import logger
from vdenet.effect.perform import Hands
from vdenet.errors import StepFailed, VdenetError
from vdenet.model import plan as planning
from vdenet.model.change import Change, Plan


def carry_out(hands: Hands, plan: Plan, undo: bool, on_step: Callable[[str], None] | None = None) -> tuple[str, ...]:
    """Do the steps in order, and return them in words; when one fails, take back those before it, if `undo`.

    `on_step` is called with each step's words before it is carried out. Raises what the step raised, `StepFailed`
    where that is no error of ours.
    """
    done: list[Change] = []
    for change in plan:
        words = str(change.step)
        if on_step is not None:
            on_step(words)
        try:
            hands.perform(change.step)
        except Exception as error:
            logger.error("failed: %s: %s", words, error)
            if undo:
                _take_back(hands, [*done, change])
            if isinstance(error, VdenetError):
                raise
            raise StepFailed(step=words, why=str(error)) from error
        done.append(change)
        logger.info("%s", words)
    for note in hands.notes:
        logger.info("%s", note)
    hands.notes.clear()
    return tuple(str(change.step) for change in done)


def _take_back(hands: Hands, done: list[Change]) -> None:
    for step in planning.undo_of(done):
        try:
            hands.perform(step)
            logger.info("undone: %s", step)
        except Exception as error:  # noqa: BLE001  the rest still has to be undone
            logger.error("cannot undo: %s: %s", step, error)
