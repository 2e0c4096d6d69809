"""The control socket: who connects is checked first, then read, one thread a connection.

A connection costs a member nothing but his own share: at most eight, each closed when it is idle, each
message bounded. An error of one connection stays in it.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from typing import Any

from vdenet.daemon import introspection, members, operations
from vdenet.daemon.engine import Engine
from vdenet.daemon.log import change, logger
from vdenet.daemon.members import Caller
from vdenet.daemon.operations import Answer, Operation, Request, Role
from vdenet.daemon.quota import MAX_CONNECTIONS, Quota
from vdenet.errors import (
    BadValue,
    NotPermitted,
    ProtocolError,
    QuotaExceeded,
    StepFailed,
    UnknownOperation,
    VdenetError,
    printable,
)
from vdenet.i18n import _
from vdenet.wire.channel import Channel, Closed, close_all
from vdenet.wire.message import INTERFACE, Call, parse_call, refusal, reply

IDLE_SECONDS = 60.0
REFUSAL_SECONDS = 1.0


class Server:
    """Serves the operations of an engine on a listening socket."""

    def __init__(self, engine: Engine, listener: socket.socket) -> None:
        self._engine = engine
        self._listener = listener
        self._quota = Quota()

    def serve(self) -> None:
        """Accept until the listener is shut down."""
        while True:
            try:
                sock, _address = self._listener.accept()
            except OSError as error:
                if self._listener.fileno() < 0 or error.errno in (22, 9):
                    return
                logger.error("accept: %s", error)
                threading.Event().wait(0.2)  # out of descriptors: do not spin
                continue
            try:
                self._take(sock)
            except Exception:  # of one connection: the next is served all the same
                logger.exception("a new connection")
                sock.close()

    def _take(self, sock: socket.socket) -> None:
        caller = members.peer(sock)
        try:
            members.authorise(caller)
        except VdenetError as error:
            logger.warning("refused uid=%s: %s", caller.uid, error)
            _refuse(sock, error)
            return
        if not self._quota.connect(caller.uid):
            _refuse(sock, QuotaExceeded(what=_("connect"), limit=MAX_CONNECTIONS, unit=_("connections")))
            return
        try:
            threading.Thread(target=self._converse, args=(sock, caller), daemon=True,
                             name=f"uid {caller.uid}").start()
        except BaseException:
            self._quota.disconnect(caller.uid)
            raise

    def _converse(self, sock: socket.socket, caller: Caller) -> None:
        try:
            with sock:
                sock.settimeout(IDLE_SECONDS)
                channel = Channel(sock)
                while self._answer_one(channel, caller):
                    pass
        except (Closed, OSError):
            pass  # the peer has gone, or was silent for too long
        except Exception:
            logger.exception("connection of uid=%s", caller.uid)
        finally:
            self._quota.disconnect(caller.uid)

    def _answer_one(self, channel: Channel, caller: Caller) -> bool:
        """Read one call and answer it; False when the connection is of no more use."""
        try:
            message, fds = channel.receive()
        except ProtocolError as error:
            channel.send(refusal(error))
            return False
        answer = Answer({})
        try:
            self._quota.operation(caller.uid)
            call = parse_call(message)
            if call.method.startswith("org.varlink.service."):
                channel.send(reply(introspection.answer(call)))
                return True
            answer = self._call(call, caller, fds)
            channel.send(reply(answer.parameters), answer.fds)
        except VdenetError as error:
            channel.send(refusal(error))
        finally:
            close_all(fds)
            close_all(answer.fds)
        return True

    def _call(self, call: Call, caller: Caller, fds: list[int]) -> Answer:
        # Once more: a connection may be older than the caller's leaving the group.
        members.authorise(caller)
        interface, _dot, name = call.method.rpartition(".")
        if interface != INTERFACE:
            raise UnknownOperation(operation=call.method)
        operation = operations.find(name)
        if operation.role is Role.ROOT and caller.uid != 0:
            raise NotPermitted(what=name, why=_("only root may"))
        call.parameters.only(*operation.parameters)
        if len(fds) != operation.fds:
            raise BadValue(what=_("file descriptors"), value=len(fds),
                           why=_("expected {number}").format(number=operation.fds))
        request = Request(self._engine, caller, call.parameters, fds)
        return self._logged(operation, request)

    def _logged(self, operation: Operation, request: Request) -> Answer:
        about = _about(request.parameters.untrusted)
        # What a change reads of the configuration must not be changed by another until it is done.
        try:
            with contextlib.ExitStack() as alone:
                if operation.changes:
                    alone.enter_context(request.engine.lock)
                answer = operation.do(request)
        except VdenetError as error:
            if operation.changes:
                change(request.caller.uid, operation.name, about, f"{error.code}: {error}")
            raise
        except Exception as error:
            logger.log(logging.ERROR, "operation=%s object=%s", operation.name, about, exc_info=True)
            raise StepFailed(step=operation.name, why=f"internal error: {error}") from error
        if operation.changes:
            change(request.caller.uid, operation.name, about, "done")
        return answer


def _about(parameters: Any) -> str:
    shown = (f"{key}={value if key != 'text' else '…'}" for key, value in parameters.items())
    return printable(" ".join(shown), limit=200) or "-"


def _refuse(sock: socket.socket, error: VdenetError) -> None:
    """Say why and close, without reading anything and without waiting for a slow reader."""
    with sock, contextlib.suppress(OSError):
        sock.settimeout(REFUSAL_SECONDS)
        Channel(sock).send(refusal(error))
