"""Whether what guests are told to load is there: looked up as the account that serves it, where that one is.

The daemon's own eyes would see more (root's), and under systemd less than the caller's (ProtectHome, PrivateTmp).
"""

from __future__ import annotations

from vdenet.effect import run
from vdenet.errors import ToolFailed
from vdenet.i18n import _
from vdenet.model.places import DNS_ACCOUNT
from vdenet.model.report import Finding, Severity
from vdenet.model.segment import Segment


def findings(segment: Segment) -> list[Finding]:
    """What TFTP cannot serve, and why nobody will boot."""
    netboot = segment.netboot
    if netboot is None or netboot.root is None:
        return []
    if not (_is("-d", netboot.root) and _is("-x", netboot.root)):
        return [Finding("netboot-root", Severity.ERROR, segment.name, _(
            "TFTP cannot serve {path}: it is no directory that the account {account} may enter").format(
                path=netboot.root, account=DNS_ACCOUNT),
            _("chmod a+rx {path}; under systemd nothing below /home, /root, /tmp and /var/tmp can be served").format(
                path=netboot.root))]
    return [Finding("netboot-file", Severity.ERROR, segment.name, _(
        "TFTP cannot serve {path}: it is no file that the account {account} may read").format(
            path=f"{netboot.root}/{name}", account=DNS_ACCOUNT), f"ls -l {netboot.root}/{name}")
        for name in netboot.files if not (_is("-f", f"{netboot.root}/{name}") and _is("-r", f"{netboot.root}/{name}"))]


def _is(what: str, path: str) -> bool:
    try:
        run.run(["test", what, path], what=_("look at {path}").format(path=path), account=DNS_ACCOUNT)
    except ToolFailed:
        return False
    return True
