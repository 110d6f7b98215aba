"""What it costs to come back: a link that is resumed with a ticket, beside one made by a whole handshake.

    python -m bench.resume [--json]

The processor time is the responder's alone (a supernode's, when many come at once), from the first datagram until the
link stands and all is acknowledged: of the link alone, and of one on which the initiator says Attach and is told
Attached with five supernodes.  ``agree`` is what the keys of a resumed link cost: ticket, binder, exchange, seals.
Bytes are those of datagrams, without the heads of IP and UDP.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

from halloo.base.address import Address, Peer, Wire
from halloo.base.effects import Transmit
from halloo.crypto.suite import Suite
from halloo.crypto.suites import suite_named
from halloo.link.endpoint import Endpoint
from halloo.link.notice import Heard, Ticketed, Up
from halloo.link.persona import Persona
from halloo.link.resumption import Admission, Return
from halloo.link.tickets import Tickets
from halloo.messages.credential import Claims, Notary, Party, issue
from halloo.messages.link import AskTicket
from halloo.messages.overlay import Attach, Attached

TARGETS = {
    "modern_link_share": ("<=", 0.25),
    "modern_agree_us": ("<=", 250),
    "modern_first_flight_bytes_told_share": ("<=", 1.0),
    "modern_resume_datagrams_until_up": ("<=", 2),
}
WALL = 1.8e9
NETWORK = b"network!"
HERE, THERE = Address.parse("192.0.2.1:1000"), Address.parse("192.0.2.2:2000")
ATTACH = Attach(node=bytes(8), port=33_033, uptime=900, request=1)
ATTACHED = Attached(
    node=bytes(8),
    observed=HERE,
    supernodes=tuple(Address(bytes([10, 1, 7, n]), 33_033) for n in range(5)),
    clients=200,
    request=1,
)


@dataclass
class Line:
    """Two endpoints and a wire; what the second one does is timed."""

    here: Endpoint
    there: Endpoint
    now: float = 0.0
    spent: float = 0.0
    """Seconds of the responder."""
    sent: list[int] = field(default_factory=list)
    told: list[int] = field(default_factory=list)
    """Sizes of datagrams, from here and from there."""
    up_after: int = 0
    """Datagrams until the initiator's link stood."""
    ticket: bytes = b""

    def run(self, outputs: list[Any]) -> None:
        """Carry everything until nobody has more to say."""
        queue = [*outputs, *self.here.flush(self.now)]
        while queue:
            flying = [item for item in queue if isinstance(item, Transmit)]
            for item in queue:
                if isinstance(item, Up):
                    self.up_after = len(self.sent) + len(self.told)
                elif isinstance(item, Ticketed):
                    self.ticket = item.ticket
            self.sent += [len(item.data) for item in flying]
            answers: list[Any] = []
            began = time.perf_counter()
            for item in flying:
                answers += self.there.receive(item.data, HERE, self.now)
            for item in answers:
                if isinstance(item, Heard) and isinstance(item.sender, int):
                    self.there.send(item.sender, ATTACHED, self.now)
            answers += self.there.flush(self.now)
            self.spent += time.perf_counter() - began
            back = [item for item in answers if isinstance(item, Transmit)]
            self.told += [len(item.data) for item in back]
            queue = [output for item in back for output in self.here.receive(item.data, THERE, self.now)]
            queue += self.here.flush(self.now)

    def clear(self) -> None:
        """Forget what was counted."""
        self.spent, self.sent, self.told, self.up_after = 0.0, [], [], 0


def line(suite: Suite) -> Line:
    """Two users with credentials."""
    login = suite.network_identity.make(random.Random("login"))
    keys = (suite.network_identity.public(login),)
    ends = []
    for name, address in (("alice", HERE), ("bob", THERE)):
        private = suite.identity.make(random.Random(name))
        notary = Notary(NETWORK, keys, suite.network_identity.verify, suite.identity.verify, suite.digest)
        claims = Claims(
            name=name,
            key=suite.identity.public(private),
            issued=int(WALL),
            expires=int(WALL) + 14 * 86_400,
            network=NETWORK,
            entry=4_711,
            entry_hash=bytes(20),
        )
        credential = issue(claims, login, suite.network_identity.sign)
        persona = Persona(suite, notary, private, credential, random.Random(name))
        ends.append(Endpoint(persona, bytes(32), [address.host], WALL))
        ends[-1].datagrams.public[4] = address.host
    return Line(*ends)


def figures(name: str, rounds: int) -> dict[str, Any]:
    """Of one suite."""
    both = line(suite_named(name))
    costs: dict[str, list[float]] = {}
    out: dict[str, Any] = {}
    peer = 0
    gc.disable()
    for _ in range(rounds):
        for kind in ("handshake", "resume", "link_handshake", "link_resume"):
            attaches, resumes = not kind.startswith("link"), kind.endswith("resume")
            peer += 1
            both.now += 20.0
            both.clear()
            outputs = both.here.link(Peer(peer), Wire(THERE), both.now, b"", both.ticket if resumes else b"")
            if attaches:
                outputs += both.here.send(Peer(peer), ATTACH, both.now)
            both.run(outputs)
            costs.setdefault(kind, []).append(both.spent)
            out[f"{name}_{kind}_bytes_said"], out[f"{name}_{kind}_bytes_told"] = sum(both.sent), sum(both.told)
            out[f"{name}_{kind}_datagrams"] = len(both.sent) + len(both.told)
            out[f"{name}_{kind}_datagrams_until_up"] = both.up_after
            if kind == "resume":
                out[f"{name}_first_flight_bytes_said"] = both.sent[0]
                out[f"{name}_first_flight_bytes_told"] = both.told[0]
                out[f"{name}_first_flight_bytes_told_share"] = round(both.told[0] / both.sent[0], 2)
            if not resumes:
                both.run(both.here.send(Peer(peer), AskTicket(), both.now))
            both.run(both.here.unlink(Peer(peer), "", both.now))
    gc.enable()
    middle = {kind: statistics.median(spent) for kind, spent in costs.items()}
    out |= {f"{name}_{kind}_us": round(1e6 * spent, 1) for kind, spent in middle.items()}
    out[f"{name}_agree_us"] = agree(both, rounds)
    out[f"{name}_share"] = round(middle["resume"] / middle["handshake"], 3)
    out[f"{name}_link_share"] = round(middle["link_resume"] / middle["link_handshake"], 3)
    return out


def agree(both: Line, rounds: int) -> float:
    """Microseconds of the responder for the keys of a link that is resumed."""
    tickets, mine = Tickets(both.there.persona), Tickets(both.here.persona)
    giver, holder = (Party(end.persona.public, None) for end in (both.there, both.here))
    spent = []
    for number in range(rounds):
        given = tickets.give(bytes(32), holder, both.now, WALL)
        held = mine.usable(mine.hold(given, bytes(32), giver), b"", WALL)
        assert held is not None
        resume = Return(both.here.persona, number, held, b"").say(bytes(64), 1, both.now)
        began = time.perf_counter()
        admission = Admission(both.there.persona, resume, tickets.open(resume.ticket, WALL))
        tickets.spend(resume.ticket)
        admission.early()
        admission.agree(number, taken=True)
        spent.append(time.perf_counter() - began)
    return round(1e6 * statistics.median(spent), 1)


def main() -> None:
    """Measure, and say how the figures stand to what was asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=300)
    arguments = parser.parse_args()
    found: dict[str, Any] = {"processors": os.cpu_count()}
    found |= figures("modern", arguments.rounds) | figures("classic", arguments.rounds)
    reached = {name: found[name] <= target for name, (_, target) in TARGETS.items()}
    if arguments.json:
        print(json.dumps(found | {"reached": reached}))
        return
    for name, value in found.items():
        asked = ""
        if name in TARGETS:
            asked = f"  asked {TARGETS[name][0]} {TARGETS[name][1]}: {'reached' if reached[name] else 'NOT reached'}"
        print(f"{name:40} {value}{asked}")


if __name__ == "__main__":
    main()
