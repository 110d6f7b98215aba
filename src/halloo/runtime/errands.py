"""What comes of an errand to the network, in words: an account, or the fault that says why not."""

from __future__ import annotations

import time

from halloo.base.errors import HallooError, UsageError
from halloo.base.machine import Event
from halloo.login.audit import Report
from halloo.login.auditor import Audited, AuditFailed
from halloo.login.client import LoginDecided, LoginUnreachable
from halloo.messages.credential import Notary
from halloo.messages.login import Application, Decision, Purpose, Verdict
from halloo.node.descriptor import Descriptor
from halloo.runtime.home import Account, NotLoggedIn

__all__ = ["NetworkUnreachable", "NotDone", "account_of", "holds_its_key", "report_of"]


class NetworkUnreachable(HallooError):
    """No supernode, or no login server, could be reached."""


class NotDone(HallooError):
    """The network was asked and said no."""


def account_of(event: Event, application: Application, private: bytes, notary: Notary) -> Account:
    """The account that an application to the login servers has brought.

    Raises:
        NotLoggedIn: wrong name or password, or a key that is not certified.
        NotDone: the name is taken, too many attempts, a wrong clock, or the server cannot do it now.
        NetworkUnreachable: no login server answered.
        PeerError: the server certified nothing that this network would accept.
    """
    if isinstance(event, LoginUnreachable):
        tried = ", ".join(str(address) for address in event.tried)
        raise NetworkUnreachable(f"{event.reason} (tried {tried})")
    assert isinstance(event, LoginDecided)
    decision, purpose, name = event.decision, application.purpose, application.name
    if decision.verdict != Verdict.OK:
        raise _fault(decision, purpose, name)
    if purpose == Purpose.REVOKE:
        return Account(name, private, b"")
    claims = notary.credential(decision.credential, decision.wall)
    if (claims.name, claims.key) != (name, application.key):
        raise NotDone("the login server certified something else than was asked for")
    return Account(name, private, decision.credential)


def holds_its_key(descriptor: Descriptor, account: Account) -> bool:
    """Whether the private key of an account is the one of its credential."""
    try:
        return descriptor.ways.suite.identity.public(account.private) == account.claims.key
    except UsageError:
        return False


def report_of(event: Event) -> Report:
    """What an audit has found.

    Raises:
        NetworkUnreachable: no login server answered.
        NotDone: what was told is no log.
    """
    if isinstance(event, AuditFailed):
        raise NetworkUnreachable(event.reason) if event.unreachable else NotDone(event.reason)
    assert isinstance(event, Audited)
    return event.report


def _fault(decision: Decision, purpose: int, name: str) -> HallooError:
    match decision.verdict:
        case Verdict.REFUSED if purpose in (Purpose.REVOKE, Purpose.RENEW):
            return NotLoggedIn(f"this login was revoked, or has expired too long ago; use: halloo login {name}")
        case Verdict.REFUSED:
            return NotLoggedIn("wrong name or password")
        case Verdict.NAME_TAKEN:
            return NotDone(f"the name {name} is taken; choose another, or log in if it is yours")
        case Verdict.TOO_MANY:
            return NotDone(f"too many attempts; try again in {decision.retry_after} seconds")
        case Verdict.CLOCK_WRONG:
            ahead = time.time() - decision.wall
            way = "ahead of" if ahead > 0 else "behind"
            return NotDone(f"this machine's clock is {abs(ahead):.0f} s {way} the login server's; set it right")
    return NotDone(decision.reason or "the login server cannot do this now")
