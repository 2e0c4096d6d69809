"""Translation of the strings that people read.

The catalogue `vdenet` is looked up once, by the locale of the process; without one the English of
the source is used. Strings that are translated later than they are written (class attributes, data)
are marked with `N_` and translated with `_` where they are printed.
"""

from __future__ import annotations

import gettext

_catalogue = gettext.translation("vdenet", fallback=True)
_ = _catalogue.gettext
ngettext = _catalogue.ngettext


def N_(message: str) -> str:  # noqa: N802  the name that xgettext knows
    """Mark `message` for translation without translating it yet."""
    return message
