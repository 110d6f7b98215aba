"""Presence in words and files: what a user shows to whom, kept in his home; what he sees of others, as he reads it."""

from __future__ import annotations

import base64
import json
from typing import Any

from halloo.base.errors import UsageError
from halloo.messages.credential import Presence
from halloo.messages.name import folded
from halloo.node.buddies import Buddies, KeptPresence
from halloo.overlay.presence import SECRET_SIZE, Shown, Sight
from halloo.overlay.showing import MAX_ALLOWED
from halloo.overlay.watching import MAX_BUDDIES, MAX_SIGHTS, BuddySeen, Certainty

__all__ = ["STATES", "buddy_table", "change", "presence_table", "presence_text", "read_presence", "span"]

STATES = {
    "online": (Presence.ONLINE, False),
    "away": (Presence.AWAY, False),
    "dnd": (Presence.DO_NOT_DISTURB, False),
    "invisible": (Presence.ONLINE, True),
}
"""What a user may show, as he writes it: the state, and whether he is seen off line all the same."""
SEEN_BY = ("allowed", "everybody")
_WORDS = {
    Presence.OFFLINE: "off line",
    Presence.ONLINE: "on line",
    Presence.AWAY: "away",
    Presence.DO_NOT_DISTURB: "do not disturb",
}
_SHORT = {Presence.OFFLINE: "offline", Presence.ONLINE: "online", Presence.AWAY: "away", Presence.DO_NOT_DISTURB: "dnd"}
_LISTS = ("allow", "deny", "watch", "unwatch")
MINUTE, HOUR, DAY = 60, 3_600, 86_400  # seconds


def presence_text(kept: KeptPresence, name: str) -> str:
    """What is kept of a user's presence, as the text of a file."""
    table = {
        "name": name,
        "sight": _sight_table(kept.sight) if kept.sight is not None else None,
        "state": int(kept.state),
        "invisible": kept.invisible,
        "everybody": kept.everybody,
        "mood": kept.mood,
        "allowed": dict(kept.allowed),
        "sights": {other: _sight_table(sight) for other, sight in kept.sights},
        "watched": list(kept.watched),
    }
    return json.dumps(table, indent=1)


def read_presence(text: str, name: str) -> KeptPresence:
    """Read it back; of another user nothing is remembered.  Raises UsageError where it is damaged."""
    try:
        table = json.loads(text)
        if str.casefold(table["name"]) != name.casefold():  # raises where it is no text at all
            return KeptPresence()
        allowed = tuple((folded(str(other)), int(epoch)) for other, epoch in table["allowed"].items())
        sights = tuple((folded(str(other)), _sight(sight)) for other, sight in table["sights"].items())
        watched = tuple(folded(str(other)) for other in table["watched"])
        if len(allowed) > MAX_ALLOWED or len(sights) > MAX_SIGHTS or len(watched) > MAX_BUDDIES:
            raise UsageError("too many names")
        state, mood = Presence(table["state"]), Shown(Presence.ONLINE, 0, table["mood"]).mood
        if state is Presence.OFFLINE or (allowed and table["sight"] is None):
            raise UsageError("what cannot be shown")
        return KeptPresence(
            _sight(table["sight"]) if table["sight"] is not None else None,
            state,
            bool(table["invisible"]),
            bool(table["everybody"]),
            mood,
            allowed,
            sights,
            watched,
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as fault:
        raise UsageError(f"this is no presence: {fault}") from None


def change(buddies: Buddies, table: object, now: float) -> list[Any]:
    """Show, allow, deny, watch as a table says; the effects.

    Raises:
        UsageError: it says what cannot be.
    """
    if not isinstance(table, dict) or not set(table) <= {"state", "mood", "seen_by", *_LISTS}:
        raise UsageError("a presence has state, mood, seen_by, allow, deny, watch and unwatch")
    state, mood, seen_by = table.get("state"), table.get("mood"), table.get("seen_by")
    if state is not None and (not isinstance(state, str) or state not in STATES):
        raise UsageError(f"there is no such state; choose of {', '.join(STATES)}")
    if mood is not None and not isinstance(mood, str):
        raise UsageError("a mood is a line of text")
    if seen_by is not None and seen_by not in SEEN_BY:
        raise UsageError(f"it is seen by {' or '.join(SEEN_BY)}")
    lists = {what: table.get(what, []) for what in _LISTS}
    for names in lists.values():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UsageError("allow, deny, watch and unwatch are lists of names")
    done: list[Any] = []
    if state is not None or mood is not None or seen_by is not None:
        shown, invisible = STATES[state] if state is not None else (None, False)
        everybody = None if seen_by is None else seen_by == "everybody"
        done += buddies.show(now, shown, mood, invisible=invisible, everybody=everybody)
    for what, act in zip(_LISTS, (buddies.allow, buddies.deny, buddies.watch, buddies.unwatch), strict=True):
        for name in lists[what]:
            done += act(name, now)
    return done


def presence_table(buddies: Buddies, now: float, wall: float) -> dict[str, Any]:
    """All of it, as JSON; ``wall``: the second of the wall clock that it is."""
    kept = buddies.kept()
    epoch = kept.sight.epoch if kept.sight is not None else 0
    return {
        "state": "invisible" if kept.invisible else _SHORT[kept.state],
        "mood": kept.mood,
        "seen_by": SEEN_BY[kept.everybody],
        "allowed": [{"name": name, "given": given == epoch} for name, given in kept.allowed],
        "watched": [buddy_table(buddies.watching.seen(name, now), wall) for name in kept.watched],
    }


def buddy_table(seen: BuddySeen, wall: float) -> dict[str, Any]:
    """What is known of somebody, as JSON: ``state`` is his as of ``as_of``; ``words`` say how sure that is."""
    known = seen.certainty is not Certainty.UNKNOWN
    return {
        "name": seen.name,
        "state": _SHORT[seen.state] if known else "unknown",
        "mood": seen.mood,
        "since": seen.since or None,
        "as_of": seen.as_of or None,
        "certainty": seen.certainty.value,
        "words": _words(seen, wall),
    }


def _words(seen: BuddySeen, wall: float) -> str:
    said, ago = _WORDS[seen.state], span(wall - seen.as_of)
    mood = f": {seen.mood}" if seen.mood else ""
    match seen.certainty:
        case Certainty.SURE if not seen.state:
            return f"{said} for {span(wall - seen.since)}{mood}"
        case Certainty.SURE:
            return f"{said}, as of {ago} ago{mood}"
        case Certainty.DOUBTED:
            return f"probably off line; {said} {ago} ago{mood}"
        case Certainty.OLD:
            return f"{said} {ago} ago; not heard of since{mood}"
    return "not known: he has not allowed it, or was not found yet"


def span(seconds: float) -> str:
    """How long that is, in words, by the largest unit."""
    for unit, word in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {word}"
    return f"{max(0, int(seconds))} s"


def _sight_table(sight: Sight) -> list[Any]:
    return [sight.epoch, base64.b64encode(sight.secret).decode()]


def _sight(table: Any) -> Sight:
    epoch, secret = table
    sight = Sight(int(epoch), base64.b64decode(secret, validate=True))
    if len(sight.secret) != SECRET_SIZE or not 0 < sight.epoch < 1 << 40:
        raise UsageError("a secret of another size")
    return sight
