"""The table [netboot]."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from vdenet.i18n import _
from vdenet.model.netboot import Netboot
from vdenet.text.config.reader import Reader

FILES = ("bios", "uefi", "uefi_ia32", "uefi_arm")
URLS = ("http", "http_arm")
KEYS = ("root", *FILES, *URLS, "ipxe")

MAX_NAME = 127
"""Characters. The field of a DHCP message has 128 bytes with the final NUL (RFC 2131, section 2)."""
_ROOT = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9._-]*)+", re.ASCII)
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*", re.ASCII)
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/[A-Za-z0-9._~/%+@=&?:-]*", re.ASCII)


def read(reader: Reader, table: Mapping[str, Any]) -> Netboot | None:
    """What the file says of booting; None where the table is missing, which is off."""
    if "netboot" not in table:
        return None
    entry = reader.table(table, "netboot")
    reader.known(entry, KEYS, "netboot.")
    root_text = reader.text(entry, "root", "netboot.")
    if root_text is not None and (not _ROOT.fullmatch(root_text) or len(root_text) > 200):
        raise reader.bad("netboot.root", _("{text!r}: expected an absolute path such as \"/srv/tftp\"").format(
            text=root_text))
    said = {key: _file(reader, entry, key, root_text is not None) for key in FILES}
    said |= {key: _url(reader, entry, key) for key in URLS}
    ipxe = reader.text(entry, "ipxe", "netboot.")
    if ipxe is not None:
        said["ipxe"] = _url(reader, entry, "ipxe") if "://" in ipxe \
            else _file(reader, entry, "ipxe", root_text is not None)
    if root_text is None and not any(said.values()):
        raise reader.bad("netboot", _("it says nothing: expected root and bios, uefi or others, or http"))
    return Netboot(root_text, **said)


def _file(reader: Reader, entry: Mapping[str, Any], key: str, root: bool) -> str | None:
    text = reader.text(entry, key, "netboot.")
    if text is None:
        return None
    if not _FILE.fullmatch(text) or len(text) > MAX_NAME:
        raise reader.bad(f"netboot.{key}", _("{text!r}: expected a file below root, such as \"pxelinux.0\"").format(
            text=text))
    if not root:
        raise reader.bad(f"netboot.{key}", _("it needs root, the directory that TFTP serves"))
    return text


def _url(reader: Reader, entry: Mapping[str, Any], key: str) -> str | None:
    text = reader.text(entry, key, "netboot.")
    if text is not None and (not _URL.fullmatch(text) or len(text) > MAX_NAME):
        raise reader.bad(f"netboot.{key}", _(
            "{text!r}: expected a URL such as \"http://boot.example/boot.efi\"").format(text=text))
    return text
