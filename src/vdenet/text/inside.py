"""What people have to do inside a guest, where its hypervisor cannot."""

from __future__ import annotations

from vdenet.i18n import _


def another(interface: str | None) -> str:
    """Of a guest that had an interface before it got this one."""
    return _("inside, {interface} has to be told to ask for an address: most images do so on their first "
             "interface alone").format(interface=interface or _("the new interface"))
