"""vde_plug(1) for the plugs of a segment: command lines, the rules that keep strangers out, what it complains of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath as Path

from vdenet.model import plug as urls
from vdenet.model.places import GROUP, PLUG_ACCOUNT, Places
from vdenet.model.digests import digest
from vdenet.model.plug import Plug, Remote, Target, Udp
from vdenet.model.segment import Segment
from vdenet.model.wanted import Service

CONNECTED = "Authenticated to "
"""What ssh says, at its log level VERBOSE, once the other host has let it in."""
MAX_LOG = 262144
"""Bytes: where what a plug prints goes has room for all; the other host must not fill it."""
_SSH_TALK = re.compile(r"Authenticated to |Transferred: |Bytes per second: |Connection to .* closed")


def services(segment: Segment, places: Places, groups: Iterable[str] = ()) -> tuple[Service, ...]:
    """The plugs as the supervisor runs them; `groups` are those that the administrator put their account into."""
    return tuple(_service(segment, plug, places, tuple(groups)) for plug in segment.plugs)


def _service(segment: Segment, plug: Plug, places: Places, groups: tuple[str, ...]) -> Service:
    target = urls.target(plug.url)
    argv = _argv(target, _own(segment, places, plug.port), places)
    return Service(
        name=_name(argv),
        title=plug.title,
        argv=argv,
        account=PLUG_ACCOUNT,
        groups=(GROUP, *groups),
        patient=True,
        link=target.interface if isinstance(target, urls.Group) else None,
        ready_line=CONNECTED if isinstance(target, Remote) else "",
    )


def _name(argv: Sequence[str]) -> str:
    """The same as long as it does the same: a plug that another is written before goes on."""
    return f"plug-{digest(' '.join(argv))[:12]}"


def _own(segment: Segment, places: Places, port: int | None) -> str:
    return f"vde://{places.switch(segment.name)}" + ("" if port is None else f"[{port}]")


def _argv(target: Target, own: str, places: Places) -> tuple[str, ...]:
    # Behind `--`: vde_plug looks for options of its own also behind its arguments.
    if isinstance(target, Remote):
        # ssh would outlive a plug that is killed for as long as the other host does not answer.
        return ("vde_plug", "--", own, "=", "setpriv", "--pdeathsig", "TERM", "--",
                "prlimit", f"--fsize={MAX_LOG}", *_ssh(target, places))
    # The other first: while it cannot be reached, no port of ours comes and goes.
    return ("vde_plug", "--", target.argument, own)


def _ssh(target: Remote, places: Places) -> tuple[str, ...]:
    """ssh(1) without anybody's configuration: root's key and root's list of hosts, and no question to anybody."""
    options = (
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={places.ssh / 'known_hosts'}",
        "GlobalKnownHostsFile=none",
        "UpdateHostKeys=no",
        f"IdentityFile={places.ssh / 'key'}",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "PreferredAuthentications=publickey",
        "ClearAllForwardings=yes",
        "ForwardAgent=no",
        "ControlPath=none",
        "ConnectTimeout=15",
        "ServerAliveInterval=15",
        "ServerAliveCountMax=3",
        "LogLevel=VERBOSE",
    )
    return ("ssh", "-F", "none", "-T", "-a", "-x", "-e", "none", *(word for one in options for word in ("-o", one)),
            "-l", target.user, "-p", str(target.port or 22), "--", target.host,
            # A path alone: also the vde_plug of vde2, before vdeplug4, takes it. The other host's shell reads this.
            f"vde_plug {target.path}")


def strays(running: Iterable[Sequence[str]], segment: str, wanted: Sequence[Service],
           places: Places) -> tuple[Service, ...]:
    """Of the processes of the plugs' account, by their argument lists, those of the segment that are not wanted."""
    own = re.compile(re.escape(f"vde://{places.switch(segment)}") + r"(\[\d+\])?")
    known = {service.argv for service in wanted}
    found = {}
    for words in running:
        argv = (Path(words[0]).name, *words[1:])
        if argv[0] == "vde_plug" and argv not in known and any(own.fullmatch(word) for word in argv[1:]):
            found[argv] = Service(name=_name(argv), title=_title(argv), argv=argv, account=PLUG_ACCOUNT, patient=True)
    return tuple(found[argv] for argv in sorted(found))


def _title(argv: tuple[str, ...]) -> str:
    """The URL that such an argument list was made of, as nearly as it tells."""
    if "=" not in argv:
        return next((word for word in argv if "://" in word), "").removesuffix("/hashsize=0")
    user, _p, port, _dashes, host, command = argv[-6:]
    return str(Remote(user, host, None if port == "22" else int(port), command.partition(" ")[2]))


def rules(plugs: Sequence[Plug]) -> str:
    """A chain of nft(8) that lets into each UDP plug its peer alone: vde_plug takes a frame from anybody.

    Of errors (RFC 792, RFC 4443) it is the ports of the datagram that they are about that count: behind 8 bytes of
    the error's own and the datagram's IP header.
    """
    lines = []
    for plug in plugs:
        target = urls.target(plug.url)
        if isinstance(target, Udp):
            family = "ip" if target.peer.version == 4 else "ip6"
            here = "" if target.local is None else f"{family} daddr {target.local} "
            # While nobody listens there, vde_plug would ask again and again what is wrong, and do nothing else.
            ports = target.local_port << 16 | target.peer_port
            lines.append(f"icmp type destination-unreachable icmp code != 4 @th,224,32 {ports:#010x} drop"
                         if family == "ip" else f"icmpv6 type destination-unreachable @th,384,32 {ports:#010x} drop")
            lines += [f"{here}{family} saddr {target.peer} udp sport {target.peer_port} udp dport {target.local_port} "
                      "accept", f"{here}udp dport {target.local_port} drop"]
    if not lines:
        return ""
    text = "\n\t\t".join(lines)
    return f"""
	chain into_plugs {{
		type filter hook input priority filter; policy accept;
		{text}
	}}
"""


def complaint(log: str) -> str:
    """The last that a plug said before it ended, without what ssh tells of its success; empty when it said nothing."""
    lines = [line.strip() for line in log.splitlines()]
    told = [line for line in lines if line and not _SSH_TALK.match(line)]
    return told[-1] if told else ""
