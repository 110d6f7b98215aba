"""The call machine: every message in every state, every intent in every state."""

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halloo.base.address import Peer
from halloo.base.effects import Send
from halloo.base.errors import PeerError, UsageError
from halloo.call.call import (
    INTERRUPTED_AFTER,
    INVITE_FOR,
    RING_FOR,
    RINGS_FOR,
    SILENT_FOR,
    Answered,
    Call,
    Ended,
    Interrupted,
    Rang,
    Result,
    Resumed,
    State,
)
from halloo.messages.call import Answer, Bye, Decline, Invite, Ringing, Why

ID = b"call0001"
BOB = Peer(1)
MESSAGES = [Ringing(call=ID), Answer(call=ID), Decline(call=ID, why=1), Decline(call=ID, why=2), Bye(call=ID)]
INTENTS = ["reached", "rings", "meet", "answer", "refuse", "hang_up", "unreachable", "lost", "wake", "sound_heard"]


def outgoing(state: State) -> Call:
    """A call that we made, in a state."""
    call = Call(ID, "bob", outgoing=True, began=0.0)
    if state is State.LOOKING:
        return call
    call.reached(BOB, 1.0)
    if state is State.RINGING:
        call.receive(Ringing(call=ID), 1.1)
    elif state is State.TALKING:
        call.receive(Answer(call=ID), 1.2)
    elif state is State.OVER:
        call.hang_up(1.3)
    return call


def incoming(state: State) -> Call:
    """A call that came, in a state."""
    call = Call(ID, "bob", outgoing=False, began=0.0)
    call.rings(BOB, 1.0)
    if state is State.TALKING:
        call.answer(1.2)
    elif state is State.OVER:
        call.refuse(1.3)
    return call


def ended(effects: list[object]) -> Ended:
    (event,) = [effect for effect in effects if isinstance(effect, Ended)]
    return event


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("message", MESSAGES, ids=repr)
@pytest.mark.parametrize("make", [outgoing, incoming])
def test_every_message_in_every_state_is_followed_or_refused(make, state, message) -> None:  # type: ignore[no-untyped-def]
    call = make(state)
    before = call.state
    try:
        effects = call.receive(message, 2.0)
    except PeerError:
        assert call.state is before
        return
    assert all(isinstance(effect, Send | Rang | Answered | Ended) for effect in effects)
    assert (call.state is State.OVER) == (before is State.OVER or any(isinstance(e, Ended) for e in effects))


@given(st.booleans(), st.lists(st.one_of(st.sampled_from(MESSAGES), st.sampled_from(INTENTS)), max_size=25))
@settings(max_examples=400)
def test_whatever_happens_a_call_ends_once_and_for_good(is_outgoing: bool, story: list[object]) -> None:
    call = Call(ID, "bob", outgoing=is_outgoing, began=0.0)
    now, events = 0.0, []
    for what in story:
        now += 0.7
        try:
            if isinstance(what, str):
                first = {
                    "reached": (BOB,),
                    "rings": (BOB,),
                    "meet": (BOB, b"theirs00"),
                    "unreachable": ("why",),
                    "lost": ("why",),
                }.get(what, ())
                effects = getattr(call, what)(*first, now)
            else:
                effects = call.receive(what, now)  # type: ignore[arg-type]
        except (PeerError, UsageError):
            continue
        events += [effect for effect in effects or [] if isinstance(effect, Ended)]
    assert len(events) == (call.state is State.OVER)
    if call.state not in (State.OVER, State.LOOKING):
        assert call.wake_at < float("inf"), "a call that waits for nothing waits for ever"
        if call.state is State.TALKING and not call.interrupted:
            assert call.wake(call.wake_at) == [Interrupted(ID)]
        assert isinstance(ended(call.wake(call.wake_at)), Ended)
    assert pickle.loads(pickle.dumps(call)) == call


def test_the_ladder_of_the_docstring() -> None:
    alice, bob = Call(ID, "bob", outgoing=True, began=0.0), Call(ID, "alice", outgoing=False, began=0.0)
    assert alice.reached(BOB, 0.1) == [Send(BOB, Invite(call=ID))]
    ringing, rang = bob.rings(BOB, 0.2)
    assert (ringing, rang) == (Send(BOB, Ringing(call=ID)), Rang(ID, "alice", outgoing=False))
    assert alice.receive(Ringing(call=ID), 0.3) == [Rang(ID, "bob", outgoing=True)]
    assert alice.receive(Ringing(call=ID), 0.4) == []
    assert bob.answer(0.5) == [Send(BOB, Answer(call=ID)), Answered(ID, outgoing=False)]
    assert alice.receive(Answer(call=ID), 0.6) == [Answered(ID, outgoing=True)]
    bye, over = bob.hang_up(0.7)
    assert bye == Send(BOB, Bye(call=ID, why=Why.HUNG_UP))
    assert isinstance(over, Ended)
    assert (over.result, over.by_us) == (Result.ENDED, True)
    theirs = ended(alice.receive(Bye(call=ID), 0.8))
    assert (theirs.result, theirs.reason, theirs.by_us) == (Result.ENDED, "bob hung up", False)


@pytest.mark.parametrize(
    ("make", "state", "after", "result"),
    [
        (outgoing, State.CALLING, INVITE_FOR, Result.NO_ANSWER),
        (outgoing, State.RINGING, RING_FOR, Result.NO_ANSWER),
        (incoming, State.RINGING, RINGS_FOR, Result.NO_ANSWER),
        (outgoing, State.TALKING, SILENT_FOR, Result.ENDED),
        (incoming, State.TALKING, SILENT_FOR, Result.ENDED),
    ],
)
def test_patience_ends(make, state, after, result) -> None:  # type: ignore[no-untyped-def]
    call = make(state)
    told = call.wake(1.0 + after / 2)
    assert told == ([Interrupted(ID)] if state is State.TALKING else [])
    effects = call.wake(1.3 + after)
    assert ended(effects).result is result
    assert any(isinstance(effect, Send) and isinstance(effect.message, Bye) for effect in effects)


def test_sound_keeps_a_call_alive() -> None:
    call = outgoing(State.TALKING)
    for second in range(2, 40):
        call.sound_heard(float(second))
        assert call.wake(float(second)) == []
    assert call.wake_at == 39.0 + INTERRUPTED_AFTER
    assert 39.0 + SILENT_FOR in call.timers.values()


def test_an_interruption_is_told_once_and_so_is_its_end() -> None:
    call = outgoing(State.TALKING)
    assert call.sound_heard(2.0) == []
    assert call.wake(2.0 + INTERRUPTED_AFTER) == [Interrupted(ID)]
    assert (call.state, call.interrupted, call.interruptions) == (State.TALKING, True, 1)
    assert call.wake(20.0) == []
    assert call.sound_heard(25.0) == [Resumed(ID, 23.0)]
    assert call.sound_heard(25.1) == []
    assert not call.interrupted
    assert call.wake(50.0) == [Interrupted(ID)]
    assert ended(call.wake(55.2)).reason == "nothing was heard for 30 seconds"
    assert call.sound_heard(56.0) == []


@pytest.mark.parametrize(
    ("message", "result"),
    [(Decline(call=ID, why=Why.BUSY), Result.BUSY), (Decline(call=ID, why=Why.REFUSED), Result.REFUSED)],
)
def test_declined(message: Decline, result: Result) -> None:
    assert ended(outgoing(State.RINGING).receive(message, 2.0)).result is result


def test_what_cannot_be_asked_is_said() -> None:
    with pytest.raises(UsageError, match="ourselves"):
        outgoing(State.RINGING).answer(2.0)
    with pytest.raises(UsageError, match="ourselves"):
        outgoing(State.RINGING).refuse(2.0)
    with pytest.raises(UsageError, match="over"):
        outgoing(State.OVER).hang_up(2.0)
