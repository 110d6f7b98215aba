"""The handshake in symbols, and a small machine that looks for attacks on it.

The cryptography is perfect here: a term is what it is, opened by who has its key and by nobody else.  An attacker owns
the wire, knows every public key, has the private keys of some users, and is a user himself ("m").  A few sessions of
honest users run at once; every order in which he can bring them messages is tried, every message that he has or can
make, out of all public keys, enclosed secrets, link numbers and proofs within his reach.  What is looked for:

    agreement         who ends believing in an honest user, where no session of that user says the same
    misbinding        two ends with one key that do not believe in each other
    secrecy           a key between honest users that he can make
    forward secrecy   the same, once every user's long-term key is his

It is bounded (so many sessions, honest users only send what the three messages hold, the attacker makes one key and one
secret of his own): finding nothing proves nothing beyond these bounds, and that it finds what is there is shown by
leaving parts of the protocol out (``Variant``).

    I -> R  Hello        suite, l_i, E_i
    R -> I  HelloAnswer  l_i, l_r, E_r, {s_r}E_i, proof_r          t1 = h(all before, without the proof)
    I -> R  Finish       l_r, {s_i}E_r, proof_i                    t2 = h(t1, proof_r, {s_i}E_r)
    proof_r = id_r, sig_r("r", t1), sealed under kdf(s_r, "r", t1)
    proof_i = id_i, sig_i("i", t2), sealed under kdf(s_i s_r, "i", t2)
    key     = kdf(s_i s_r, "link", t2)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from terms import Knowledge, Term, parts_of, term

__all__ = ["ATTACKER", "NAMES", "Initiates", "Model", "Responds", "Variant", "attacks", "hidden"]

ATTACKER = "m"
NAMES = ("alice", "bob", "carol")


@dataclass(frozen=True, slots=True)
class Variant:
    """The protocol with something left out or broken; by default whole."""

    omitted: frozenset[str] = frozenset()
    """Fields left out of the transcript: suite, l_i, l_r, E_i, E_r, c_r, c_i, proof_r."""
    signed: bool = True
    """Whether proofs hold a signature."""
    sealed: bool = True
    """Whether proofs are sealed, which binds the identity to the secret."""
    labels: bool = True
    """Whether signatures and their seals name the role."""
    secrets: str = "both"
    """Whose secrets the keys follow from: both, initiator's, responder's."""
    static: bool = False
    """Whether the envelopes are the identity keys, as in the classic suite."""
    any_suite: bool = False
    """Whether responders take a Hello of any suite."""
    broken: frozenset[str] = frozenset()
    """Kinds of envelopes that the attacker opens: hybrid (for s_r), curve (for s_i)."""


@dataclass(frozen=True, slots=True)
class Initiates:
    """One session of a user who begins, and where it stands: what was heard, and who that was."""

    user: str
    number: int
    heard: tuple[Term, Term, Term, Term] | None = None
    """l_r, E_r, c_r, proof_r."""
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Responds:
    """One session of a user who answers."""

    user: str
    number: int
    hello: tuple[Term, Term, Term] | None = None
    """suite, l_i, E_i."""
    finish: tuple[Term, Term] | None = None
    """c_i, proof_i."""
    peer: str = ""


State = tuple[Initiates | Responds, ...]
_OURS, _OTHER = term("public", "our suite"), term("public", "another suite")
_HIS_LINK = term("public", "l m")
_HIS_SECRET = term("secret", "s m")
_NOTHING = term("public", "nothing")


@dataclass
class Model:
    """One variant, some sessions, some users whose keys the attacker has."""

    variant: Variant
    sessions: State
    stolen: frozenset[str] = frozenset()
    tied: bool = False
    """Whether he brings an honest link number only beside the key or secret it was said with, or his own number."""
    _knowledge: dict[frozenset[Term], Knowledge] = field(default_factory=dict)

    # --- what each side computes

    def envelope(self, session: Initiates | Responds) -> tuple[Term, Term]:
        """(private, public) of what a session receives its secret under."""
        if self.variant.static:
            private = term("secret", f"sk {session.user}")
            return private, term("envelope", "static", private)
        kind = "hybrid" if isinstance(session, Initiates) else "curve"
        private = term("secret", f"e {kind} {session.number}")
        return private, term("envelope", kind, private)

    @staticmethod
    def secret(session: Initiates | Responds) -> Term:
        """The secret a session makes."""
        return term("secret", f"s {'i' if isinstance(session, Initiates) else 'r'} {session.number}")

    @staticmethod
    def link(session: Initiates | Responds) -> Term:
        """Its link number."""
        return term("public", f"l {'i' if isinstance(session, Initiates) else 'r'} {session.number}")

    def disclosed(self, session: Initiates | Responds, enclosed: Term) -> Term:
        """What comes out of an enclosed secret; something useless where it was made for another key."""
        private, public = self.envelope(session)
        _, theirs, secret = parts_of(enclosed)
        if theirs == public:
            assert isinstance(secret, int)
            return secret
        return term("secret", f"junk {private} {enclosed}")

    def first(self, suite: Term, l_i: Term, e_i: Term, l_r: Term, e_r: Term, c_r: Term) -> Term:
        """t1."""
        fields = {"suite": suite, "l_i": l_i, "E_i": e_i, "l_r": l_r, "E_r": e_r, "c_r": c_r}
        return term("hash", *(value for name, value in fields.items() if name not in self.variant.omitted))

    def second(self, first: Term, proof_r: Term, c_i: Term) -> Term:
        """t2."""
        fields = {"proof_r": proof_r, "c_i": c_i}
        return term("hash", first, *(value for name, value in fields.items() if name not in self.variant.omitted))

    def proof(self, label: str, who: str, secret: Term, transcript: Term) -> Term:
        """What shows who speaks."""
        variant = self.variant
        text = term("tuple", term("public", label if variant.labels else "proof"), transcript)
        signature = term("signature", who, text) if variant.signed else _NOTHING
        shown = term("tuple", term("id", who), signature)
        if not variant.sealed:
            return shown
        key = term("key", secret, term("public", label if variant.labels else "proof"), transcript)
        return term("sealed", key, shown, transcript)

    def key(self, s_i: Term, s_r: Term, second: Term) -> Term:
        """The link's."""
        chosen = {"both": (s_i, s_r), "initiator": (s_i,), "responder": (s_r,)}[self.variant.secrets]
        return term("key", term("tuple", *chosen), term("public", "link"), second)

    def answer(self, session: Responds) -> tuple[Term, Term, Term, Term]:
        """l_r, E_r, c_r and proof_r of a session that has heard a Hello."""
        assert session.hello is not None
        _, e_r = self.envelope(session)
        secret, l_r = self.secret(session), self.link(session)
        c_r = term("enclosed", session.hello[2], secret)
        transcript = self.first(*session.hello, l_r, e_r, c_r)
        return l_r, e_r, c_r, self.proof("r", session.user, secret, transcript)

    def initiators_end(self, session: Initiates) -> tuple[Term, Term, Term]:
        """(c_i, proof_i, key) of a session that has heard an answer."""
        assert session.heard is not None
        l_r, e_r, c_r, proof_r = session.heard
        s_i, s_r = self.secret(session), self.disclosed(session, c_r)
        c_i = term("enclosed", e_r, s_i)
        first = self.first(_OURS, self.link(session), self.envelope(session)[1], l_r, e_r, c_r)
        second = self.second(first, proof_r, c_i)
        return c_i, self.proof("i", session.user, term("tuple", s_i, s_r), second), self.key(s_i, s_r, second)

    def responders_end(self, session: Responds, c_i: Term) -> tuple[Term, Term, Term]:
        """(secret of proof_i, t2, key) for an enclosed secret."""
        assert session.hello is not None
        l_r, e_r, c_r, proof_r = self.answer(session)
        s_i, s_r = self.disclosed(session, c_i), self.secret(session)
        second = self.second(self.first(*session.hello, l_r, e_r, c_r), proof_r, c_i)
        return term("tuple", s_i, s_r), second, self.key(s_i, s_r, second)

    # --- the attacker

    def said(self, state: State) -> set[Term]:
        """All that passed on the wire."""
        out: set[Term] = set()
        for session in state:
            if isinstance(session, Initiates):
                out |= {self.link(session), self.envelope(session)[1]}
                if session.heard is not None:
                    out |= set(self.initiators_end(session)[:2])
            elif session.hello is not None:
                out |= set(self.answer(session))
        return out

    def knowledge(self, state: State, stolen: frozenset[str]) -> Knowledge:
        """What the attacker has, with some users' keys."""
        his = {_HIS_SECRET, term("secret", "e m"), *(term("secret", f"sk {who}") for who in (*stolen, ATTACKER))}
        his |= {term("id", who) for who in (*NAMES, ATTACKER)}
        if self.variant.static:
            his |= {term("envelope", "static", term("secret", f"sk {who}")) for who in NAMES}
        known = frozenset(his | self.said(state))
        held = self._knowledge.get(known)
        if held is None:
            held = self._knowledge[known] = Knowledge(known, self.variant.broken)
        return held

    # --- how the world goes on

    def steps(self, state: State) -> Iterator[tuple[int, Initiates | Responds]]:
        """Every message that he can bring to some session, and what that session is then."""
        known = self.knowledge(state, self.stolen)
        publics = sorted({number for number in known.known if parts_of(number)[0] == "envelope"})
        enclosed = sorted({number for number in known.known if parts_of(number)[0] == "enclosed"})
        begun = [(self.link(at), self.envelope(at)[1]) for at in state if isinstance(at, Initiates)]
        for place, session in enumerate(state):
            if isinstance(session, Initiates):
                if session.heard is None:
                    for heard, peer in self._answers(session, known, publics, enclosed, state):
                        yield place, Initiates(session.user, session.number, heard, peer)
            elif session.hello is None:
                for public in (*publics, self.his(session, other=True)):
                    for link in (_HIS_LINK, *(number for number, key in begun if not self.tied or key == public)):
                        for suite in (_OURS, _OTHER) if self.variant.any_suite else (_OURS,):
                            yield place, Responds(session.user, session.number, (suite, link, public))
            elif session.finish is None:
                for c_i in (*enclosed, term("enclosed", self.envelope(session)[1], _HIS_SECRET)):
                    secret, second, _ = self.responders_end(session, c_i)
                    for who in (*NAMES, ATTACKER):
                        proof = self.proof("i", who, secret, second)
                        if proof in known:
                            yield place, Responds(session.user, session.number, session.hello, (c_i, proof), who)

    def his(self, session: Initiates | Responds, *, other: bool) -> Term:
        """The attacker's own envelope key, of the kind that fits."""
        kind = "static" if self.variant.static else "hybrid" if isinstance(session, Responds) == other else "curve"
        return term("envelope", kind, term("secret", "e m"))

    def _answers(
        self, session: Initiates, known: Knowledge, publics: list[Term], enclosed: list[Term], state: State
    ) -> Iterator[tuple[tuple[Term, Term, Term, Term], str]]:
        l_i, (_, e_i) = self.link(session), self.envelope(session)
        made = [(self.link(at), self.answer(at)[2]) for at in state if isinstance(at, Responds) and at.hello]
        for c_r in (*enclosed, term("enclosed", e_i, _HIS_SECRET)):
            secret = self.disclosed(session, c_r)
            for l_r in (_HIS_LINK, *(number for number, c in made if not self.tied or c == c_r)):
                for e_r in (*publics, self.his(session, other=True)):
                    first = self.first(_OURS, l_i, e_i, l_r, e_r, c_r)
                    for who in (*NAMES, ATTACKER):
                        proof = self.proof("r", who, secret, first)
                        if proof in known:
                            yield (l_r, e_r, c_r, proof), who

    # --- what must hold

    def honest(self, who: str) -> bool:
        """Whether only the user himself has his key."""
        return who != ATTACKER and who not in self.stolen

    def faults(self, state: State) -> set[str]:
        """What does not hold in a state."""
        out: set[str] = set()
        known = self.knowledge(state, self.stolen)
        later = self.knowledge(state, frozenset(NAMES))
        ends: list[tuple[Term, str, Initiates | Responds]] = []
        for session in state:
            if not session.peer:
                continue
            if isinstance(session, Initiates):
                key = self.initiators_end(session)[2]
                agrees = any(self._answers_to(other, session) for other in state)
            else:
                assert session.finish is not None
                key = self.responders_end(session, session.finish[0])[2]
                agrees = any(self._ends_with(other, session) for other in state)
            ends.append((key, type(session).__name__, session))
            if self.honest(session.peer):
                out |= {"agreement"} if not agrees else set()
                out |= {"secrecy"} if key in known else set()
                out |= {"forward secrecy"} if key in later else set()
        for at, (key, role, one) in enumerate(ends):
            for other_key, other_role, other in ends[at + 1 :]:
                mutual = role != other_role and one.peer == other.user and other.peer == one.user
                if key == other_key and not mutual:
                    out.add("misbinding")
        return out

    def _answers_to(self, other: Initiates | Responds, session: Initiates) -> bool:
        """Whether a session of the believed peer has heard this Hello and given this answer: all data, not digests."""
        if not isinstance(other, Responds) or other.hello is None or other.user != session.peer:
            return False
        hello = (_OURS, self.link(session), self.envelope(session)[1])
        assert session.heard is not None
        return other.hello == hello and self.answer(other)[:3] == session.heard[:3]

    def _ends_with(self, other: Initiates | Responds, session: Responds) -> bool:
        """Whether a session of the believed peer has heard our answer, believes in us, and ended as we did."""
        if not isinstance(other, Initiates) or other.heard is None or other.user != session.peer:
            return False
        hello = (_OURS, self.link(other), self.envelope(other)[1])
        assert session.finish is not None
        same = session.hello == hello and other.heard[:3] == self.answer(session)[:3]
        return same and other.peer == session.user and self.initiators_end(other)[0] == session.finish[0]


def attacks(
    variant: Variant, sessions: State, stolen: frozenset[str] = frozenset(), *, tied: bool = False
) -> tuple[dict[str, State], int]:
    """Every kind of fault that can be reached, with a state that shows it; and how many states there were.

    ``tied``: see ``Model``; a tenth of the states.
    """
    model = Model(variant, sessions, stolen, tied)
    found: dict[str, State] = {}
    waiting, known = [sessions], {sessions}
    while waiting:
        state = waiting.pop()
        for fault in sorted(model.faults(state)):
            found.setdefault(fault, state)
        for place, session in model.steps(state):
            after = (*state[:place], session, *state[place + 1 :])
            if after not in known:
                known.add(after)
                waiting.append(after)
    return found, len(known)


def hidden(variant: Variant) -> bool:
    """Whether one who only listens to a whole handshake finds neither identity in it."""
    model = Model(variant, ())
    one, other = Initiates("alice", 1), Responds("bob", 1)
    other = Responds("bob", 1, (_OURS, model.link(one), model.envelope(one)[1]))
    one = Initiates("alice", 1, model.answer(other), "bob")
    known = Knowledge(frozenset(model.said((one, other))), variant.broken)
    shown = {term("id", "alice"), term("id", "bob")}
    if variant.static:  # the envelopes are the identity keys themselves
        shown |= {model.envelope(one)[1], model.envelope(other)[1]}
    return not shown & known.known


def main() -> None:
    """The long run: two who begin and two who answer, every choice open, one user's key stolen at most."""
    for who in ("", *NAMES[:2]):
        sessions = (Initiates("alice", 1), Responds("bob", 2), Initiates("carol", 3), Responds("alice", 4))
        found, states = attacks(Variant(), sessions, frozenset([who] if who else []))
        print(f"stolen: {who or 'none'}; {states:,} states; found: {', '.join(found) or 'nothing'}")


if __name__ == "__main__":
    main()
