"""The command language, carried out by one phone: commands in, replies and notifications out."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from halloo.api.language import Line, Trouble, files_of, parse
from halloo.api.table import browsed_table, report_table, users_table
from halloo.base.errors import HallooError, UsageError
from halloo.base.machine import Event
from halloo.call.call import Answered, Ended, Interrupted, Rang, Result, Resumed
from halloo.messages.credential import Presence
from halloo.node.switchboard import CallReport
from halloo.overlay.join import Joined, Lost
from halloo.overlay.watching import BuddySeen, Certainty
from halloo.path.reach import Policy
from halloo.runtime.phone import Phone
from halloo.runtime.presence import buddy_table
from halloo.runtime.profile import Profile
from halloo.runtime.sound import Sink, Source, open_sink, open_source

__all__ = ["Engine"]

MANY_USERS = 1_000  # users that one search by words tells of at most
MAX_DIGITS = 9  # of the number of a call: longer ones are not even read

_OVER = {
    Result.ENDED: "FINISHED",
    Result.BUSY: "BUSY",
    Result.REFUSED: "REFUSED",
    Result.UNREACHABLE: "FAILED",
}


_STATUS = {
    Presence.OFFLINE: "OFFLINE",
    Presence.ONLINE: "ONLINE",
    Presence.AWAY: "AWAY",
    Presence.DO_NOT_DISTURB: "DND",
}


@dataclass(slots=True)
class _Call:
    number: int
    id: bytes
    outgoing: bool
    status: str
    source: str = "silence"
    sink: str = "null"
    seconds: float | None = None
    talk: asyncio.Task[CallReport] | None = None


class Engine:
    """One phone behind the command language.  ``tell`` is given every notification."""

    def __init__(self, phone: Phone, tell: Callable[[str], None]) -> None:
        self._phone = phone
        self._tell = tell
        self._calls: dict[int, _Call] = {}
        self.online = False
        self.on_profile: Callable[[Profile], None] = lambda _: None
        """Is given what the user tells of himself whenever that has changed."""
        self._also = phone.on_event
        phone.on_event = self._event

    async def hear(self, line: str) -> str:
        """Carry out one line; its reply."""
        try:
            command = parse(line)
        except Trouble as trouble:
            return str(trouble)
        try:
            return command.answered(await self._carry_out(command))
        except Trouble as trouble:
            return command.answered(str(trouble))
        except HallooError as fault:
            return command.answered(f"ERROR 9901 {fault}")

    async def close(self) -> None:
        """End the sound of what still talks."""
        for call in self._calls.values():
            if call.talk is not None and not call.talk.done():
                call.talk.cancel()
                await asyncio.gather(call.talk, return_exceptions=True)

    # --- commands

    async def _carry_out(self, line: Line) -> str:
        match line.words:
            case ("PING",):
                return "PONG"
            case ("GET", "CONNSTATUS"):
                return f"CONNSTATUS {'ONLINE' if self.online else 'CONNECTING'}"
            case ("GET", "CURRENTUSERHANDLE"):
                return f"CURRENTUSERHANDLE {self._name}"
            case ("GET", "HALLOO", "STATUS"):
                return f"HALLOO STATUS {json.dumps(self.status())}"
            case ("GET", "HALLOO", "CALL", number):
                return f"HALLOO CALL {number} {json.dumps(self._report(self._call(number)))}"
            case ("GET", "HALLOO", "USER", name):
                return f"HALLOO USER {name} {json.dumps(await self._user(name))}"
            case ("GET", "HALLOO", "PROFILE"):
                return f"HALLOO PROFILE {json.dumps(self._phone.profile.table())}"
            case ("SET", "HALLOO", "PROFILE", *_):
                profile = self._phone.profile.changed(_json_of(line))
                await self._phone.show(profile)
                self.on_profile(profile)
                return f"HALLOO PROFILE {json.dumps(profile.table())}"
            case ("GET", "HALLOO", "PRESENCE"):
                return f"HALLOO PRESENCE {json.dumps(self._phone.presences())}"
            case ("SET", "HALLOO", "PRESENCE", *_):
                self._phone.present(_json_of(line))
                return f"HALLOO PRESENCE {json.dumps(self._phone.presences())}"
            case ("SEARCH", "USERS", *said):
                found = await self._white_pages(" ".join(said), MANY_USERS)
                return "USERS " + ", ".join(user["name"] for user in found["users"])
            case ("SEARCH", "HALLOO", "USERS", limit, *said):
                most = int(limit) if limit.isascii() and limit.isdigit() and len(limit) <= MAX_DIGITS else 0
                found = await self._white_pages(" ".join(said), min(MANY_USERS, most))
                return f"HALLOO USERS {json.dumps(found)}"
            case ("SEARCH", "ACTIVECALLS"):
                return "CALLS " + ", ".join(str(call.number) for call in self._active())
            case ("CALL", name, *way):
                return self._dial(name, way)
            case ("GET", "CALL", number, "STATUS"):
                return f"CALL {number} STATUS {self._call(number).status}"
            case ("GET", "CALL", number, "PARTNER_HANDLE"):
                return f"CALL {number} PARTNER_HANDLE {self._phone.report(self._call(number).id).name}"
            case ("GET", "CALL", number, "DURATION"):
                return f"CALL {number} DURATION {self._phone.report(self._call(number).id).duration:.0f}"
            case ("ALTER", "CALL", number, action, *_):
                self._alter(self._call(number), action.upper(), line.text)
                return line.text
        raise Trouble(2, "Unknown command")

    def status(self) -> dict[str, Any]:
        """A snapshot of the node."""
        node, driver = self._phone.node, self._phone.driver
        join, role, lending = node.join, node.roles.role, node.roles.promotion.lending
        return {
            "online": self.online,
            "name": self._name,
            "supernode": str(join.supernode) if join.supernode else None,
            "public": str(node.observed) if node.observed else None,
            "nat": None,
            "calls": [{"number": call.number, "status": call.status} for call in self._active()],
            "supernode_role": role.name,
            "block": role.block or None,
            "slot": role.slot,
            "clients": role.clients if role.name != "none" else None,
            "retiring": role.leaving,
            "supernode_consent": lending.consent.value,
            "supernode_caps": {
                "clients": lending.clients,
                "kbps": round(lending.rate / 125),
                "cpu": lending.cpu,
            },
            "supernode_use": {
                "clients": role.clients,
                "kbps": round(node.roles.caps.sent / 125, 1),
                "cpu": round(node.roles.caps.worked, 3),
                "full": node.roles.tight,
            },
            "uptime_s": round(driver.now - self._phone.opened_at, 1),
        }

    def _dial(self, name: str, way: list[str]) -> str:
        try:
            policy = Policy(way[0].lower()) if way else Policy.ANY
        except ValueError:
            raise Trouble(1, "General syntax error") from None
        try:
            call = self._added(self._phone.dial(name, policy), outgoing=True)
        except UsageError as fault:
            raise Trouble(34, f"Cannot call: {fault}") from None
        return f"CALL {call.number} STATUS UNPLACED"

    def _alter(self, call: _Call, action: str, text: str) -> None:
        match action:
            case "ANSWER":
                try:
                    self._phone.take(call.id)
                except UsageError as fault:
                    raise Trouble(559, f"ALTER CALL: {fault}") from None
            case "HANGUP" | "END":
                if call.id in self._phone.node.calls.ringing:
                    self._phone.refuse(call.id)
                else:
                    self._phone.hang_up(call.id)
            case "SET_INPUT":
                call.source = files_of(text).get("FILE") or "mic"
                open_source(call.source).close()
            case "SET_OUTPUT":
                call.sink = files_of(text).get("FILE") or "speaker"
            case _:
                raise Trouble(560, "ALTER CALL: unknown action")

    async def _white_pages(self, said: str, limit: int) -> dict[str, Any]:
        entries, page = await self._phone.browse(said, limit)
        return browsed_table(entries, page, self._phone.descriptor.ways.suite.digest, time.time())

    async def _user(self, name: str) -> dict[str, Any]:
        return users_table(await self._phone.search(name), self._phone.descriptor.ways.suite.digest, time.time())

    # --- events

    def _event(self, event: Event) -> None:
        self._also(event)
        match event:
            case Joined():
                self.online = True
                self._tell("CONNSTATUS ONLINE")
            case Lost():
                self.online = False
                self._tell("CONNSTATUS CONNECTING")
            case Rang(outgoing=False):
                self._status(self._added(event.call, outgoing=False), "RINGING")
            case Rang():
                self._status_of(event.call, "RINGING")
            case Answered():
                self._answered(event.call)
            case Interrupted():
                self._connection(event.call, "INTERRUPTED")
            case Resumed():
                self._connection(event.call, "RESUMED")
            case Ended():
                self._ended(event)
            case BuddySeen():
                status = _STATUS[event.state] if event.certainty is Certainty.SURE else "UNKNOWN"
                self._tell(f"USER {event.name} ONLINESTATUS {status}")
                self._tell(f"HALLOO BUDDY {json.dumps(buddy_table(event, time.time()))}")

    def _connection(self, call_id: bytes, word: str) -> None:
        """The classic language has no word for it: the status stays INPROGRESS, as the call goes on."""
        call = self._find(call_id)
        if call is not None:
            self._tell(f"CALL {call.number} CONNECTION {word}")

    def _answered(self, call_id: bytes) -> None:
        call = self._find(call_id)
        if call is None:
            return
        self._status(call, "INPROGRESS")
        try:
            source, sink = open_source(call.source), open_sink(call.sink)
        except HallooError as fault:
            self._tell(f"CALL {call.number} FAILUREREASON {fault}")
            self._phone.hang_up(call_id)
            return
        call.talk = asyncio.create_task(self._talk(call, source, sink))

    async def _talk(self, call: _Call, source: Source, sink: Sink) -> CallReport:
        ends_with_input = call.outgoing and call.source not in ("mic", "silence", "tone")
        return await self._phone.talk(call.id, source, sink, call.seconds, hang_up_at_end=ends_with_input)

    def _ended(self, event: Ended) -> None:
        call = self._find(event.call)
        if call is None:
            return
        self._tell(f"CALL {call.number} FAILUREREASON {event.reason}")
        unanswered = "CANCELLED" if call.outgoing else "MISSED"
        self._status(call, _OVER.get(event.result, unanswered))

    # --- inside

    @property
    def _name(self) -> str:
        return self._phone.account.name if self._phone.account else ""

    def _added(self, call_id: bytes, *, outgoing: bool) -> _Call:
        number = len(self._calls) + 1
        call = self._calls[number] = _Call(number, call_id, outgoing, "UNPLACED")
        return call

    def _call(self, number: str) -> _Call:
        known = number.isascii() and number.isdigit() and len(number) <= MAX_DIGITS
        call = self._calls.get(int(number)) if known else None
        if call is None:
            raise Trouble(556, "Invalid call id")
        return call

    def _find(self, call_id: bytes) -> _Call | None:
        return next((call for call in self._calls.values() if call.id == call_id), None)

    def _active(self) -> list[_Call]:
        active = self._phone.node.calls.active
        return [call for call in self._calls.values() if call.id in active]

    def _status_of(self, call_id: bytes, status: str) -> None:
        call = self._find(call_id)
        if call is not None:
            self._status(call, status)

    def _status(self, call: _Call, status: str) -> None:
        call.status = status
        self._tell(f"CALL {call.number} STATUS {status}")

    def _report(self, call: _Call) -> dict[str, Any]:
        return report_table(self._phone.report(call.id), self._phone.key_change(call.id))


def _json_of(line: Line) -> object:
    """What stands after the third word of a line.  Raises Trouble."""
    try:
        found: object = json.loads(line.text.split(None, 3)[3])
    except (ValueError, IndexError, RecursionError):
        raise Trouble(1, "General syntax error") from None
    return found
