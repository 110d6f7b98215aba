"""The handshake in symbols: nothing is found in the whole protocol; where a part is left out, the known attacks are."""

from __future__ import annotations

import pytest
from model import NAMES, Initiates, Model, Responds, State, Variant, attacks, hidden
from terms import Knowledge, term

ONE: State = (Initiates("alice", 1), Responds("bob", 2))
SESSIONS: dict[str, State] = {
    "one": ONE,
    "two begin": (*ONE, Initiates("carol", 3)),
    "two answer": (*ONE, Responds("alice", 3)),
    "both ways": (*ONE, Initiates("bob", 3)),
    "with oneself": (Initiates("alice", 1), Responds("alice", 2)),
}
FORWARD, SECRECY, AGREEMENT, MISBINDING = "forward secrecy", "secrecy", "agreement", "misbinding"


def found(variant: Variant, sessions: State = ONE, *stolen: str) -> set[str]:
    return set(attacks(variant, sessions, frozenset(stolen))[0])


def omitted(*fields: str, **more: bool) -> Variant:
    return Variant(omitted=frozenset(fields), **more)


def broken(*kinds: str, omit: tuple[str, ...] = (), secrets: str = "both") -> Variant:
    return Variant(broken=frozenset(kinds), omitted=frozenset(omit), secrets=secrets)


@pytest.mark.parametrize("stolen", ["", *NAMES[:2]], ids=lambda who: who or "none")
@pytest.mark.parametrize("sessions", SESSIONS.values(), ids=SESSIONS.keys())
def test_nothing_is_found_in_the_whole_protocol(sessions: State, stolen: str) -> None:
    """With a stolen key of one of the two: nobody poses to its owner (key compromise), nobody else is concerned."""
    faults, states = attacks(Variant(), sessions, frozenset([stolen] if stolen else []))
    assert faults == {}
    assert states > 10


@pytest.mark.slow
@pytest.mark.parametrize("stolen", ["", "alice"], ids=lambda who: who or "none")
def test_nothing_is_found_among_four_sessions(stolen: str) -> None:
    sessions = (*ONE, Initiates("carol", 3), Responds("alice", 4))
    faults, states = attacks(Variant(), sessions, frozenset([stolen] if stolen else []), tied=True)
    assert faults == {}
    assert states > 2_000


def test_it_explores_what_honest_users_do() -> None:
    """A run with nobody in the way is among the states, so "nothing found" is not "nothing tried"."""
    model, state = Model(Variant(), ONE), ONE
    begins = model.sessions[0]
    hello = (model.link(begins), model.envelope(begins)[1])
    for place in (1, 0, 1):
        state = next(
            (*state[:place], after, *state[place + 1 :])
            for at, after in model.steps(state)
            if at == place and (after.peer in NAMES or (isinstance(after, Responds) and after.hello[1:] == hello))
        )
    assert [session.peer for session in state] == ["bob", "alice"]
    assert model.faults(state) == set()


def test_without_signatures_anybody_is_anybody() -> None:
    assert found(Variant(signed=False)) == {AGREEMENT, SECRECY, FORWARD}


@pytest.mark.parametrize("field", ["l_i", "l_r", "E_r"])
def test_a_field_left_out_of_the_transcript_can_be_changed(field: str) -> None:
    assert found(omitted(field)) == {AGREEMENT}


def test_the_suites_number_left_out_can_be_changed_where_a_responder_takes_any() -> None:
    assert found(omitted("suite", any_suite=True)) == {AGREEMENT}
    assert found(Variant(any_suite=True)) == set()
    assert found(omitted("suite")) == set()  # the responder's refusal is the other guard


def test_what_is_guarded_twice() -> None:
    """E_i and the secret enclosed under it stand for each other; what is left when both go is an attack.

    The same of E_r with its secret, but one way only: the initiator hears nothing more that could show it.
    """
    assert found(omitted("E_i")) == found(omitted("c_r")) == found(omitted("c_i")) == set()
    assert found(omitted("E_i", "c_r")) == {AGREEMENT}
    assert found(omitted("E_i", "c_r", "E_r", "c_i")) == {AGREEMENT, SECRECY, FORWARD}


def test_proofs_in_the_open_are_misbound() -> None:
    """The signature says nothing of whose key the secret is shared with: the attack that sealing (SIGMA's MAC) is for.

    The thief puts his own name and signature over alice's Finish: bob takes for the thief's what alice says.
    """
    assert found(Variant(sealed=False)) == {MISBINDING}
    assert found(omitted("proof_r", sealed=False)) == {MISBINDING, AGREEMENT}


def test_the_sealed_proof_in_the_transcript_guards_when_the_seal_has_fallen() -> None:
    assert found(broken("hybrid")) == set()
    assert found(broken("hybrid", omit=("proof_r",))) == {AGREEMENT, MISBINDING}


def test_labels_alone_are_not_what_keeps_the_roles_apart() -> None:
    """The two transcripts are never the same text: without labels nothing is found either."""
    assert found(Variant(labels=False), SESSIONS["two answer"]) == set()
    assert found(Variant(labels=False), SESSIONS["with oneself"]) == set()


def test_static_envelopes_are_not_forward_secret() -> None:
    """The classic suite: all that is lost is the past, and hiding; who poses as whom stays as it was."""
    assert found(Variant(static=True)) == {FORWARD}
    assert found(Variant(static=True), ONE, "alice") == {FORWARD}


def test_keys_stand_while_one_of_the_two_envelopes_does() -> None:
    assert found(broken("curve")) == found(broken("hybrid")) == set()
    assert {SECRECY, FORWARD} <= found(broken("curve", "hybrid"))
    assert found(broken("curve", secrets="initiator")) == {SECRECY, FORWARD}
    assert found(broken("hybrid", secrets="responder")) >= {SECRECY, FORWARD}


def test_who_only_listens_finds_no_identity() -> None:
    assert hidden(Variant())
    assert hidden(broken("curve"))  # a quantum computer of later, ML-KEM standing
    assert not hidden(broken("hybrid"))
    assert not hidden(Variant(sealed=False))
    assert not hidden(Variant(static=True))


def test_what_an_attacker_can_make() -> None:
    """The deduction itself: what opens, what does not, what can be put together."""
    key, text, other = term("secret", "k"), term("secret", "t"), term("secret", "o")
    sealed = term("sealed", key, text, other)
    public = term("envelope", "hybrid", key)
    enclosed = term("enclosed", public, text)
    signature = term("signature", "alice", text)
    assert text not in Knowledge(frozenset({sealed}))
    assert text in Knowledge(frozenset({sealed, key}))
    assert text not in Knowledge(frozenset({enclosed, public}))
    assert text in Knowledge(frozenset({enclosed, key}))
    assert text in Knowledge(frozenset({enclosed}), frozenset({"hybrid"}))
    assert enclosed in Knowledge(frozenset({public, text}))
    assert key not in Knowledge(frozenset({public}))
    assert signature not in Knowledge(frozenset({text}))
    assert signature in Knowledge(frozenset({text, term("secret", "sk alice")}))
    assert term("hash", text) in Knowledge(frozenset({text}))
    assert text not in Knowledge(frozenset({term("hash", text)}))
    nested = term("sealed", text, other, key)
    assert other in Knowledge(frozenset({term("tuple", sealed, nested), key}))
