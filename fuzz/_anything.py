"""Messages and shapes with any values that their declarations allow."""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Any

from halloo.base.address import Address
from halloo.messages import log, login
from halloo.messages.catalogue import OPEN, SEALED
from halloo.messages.credential import Claims, Listing, Record, SignedClaims
from halloo.messages.link import Proof
from halloo.wire.objects import Kind

__all__ = ["MESSAGES", "SHAPES", "any_address", "anything"]

MESSAGES: list[Any] = [declared.kind for declared in (*OPEN.values(), *SEALED.values())]
LOG_SHAPES = (log.LogEntry, log.Head, log.SignedHead)
SHAPES: list[Any] = [Claims, SignedClaims, Listing, Record, Proof, login.Application, login.Decision, *LOG_SHAPES]


def anything(rng: Random, kind: type[Any], real: dict[str, list[Any]] | None = None) -> Any:
    """A message or shape with any values; ``real`` ones of the same field name now and then."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        rule = field.metadata.get("rule")
        known = [value for value in real.get(field.name, ()) if _fits(rule, value)] if real else None
        if known and rng.random() < 0.5:
            values[field.name] = rng.choice(known)
        elif rule is None:
            values[field.name] = rng.getrandbits(16)
        elif rule.inner is not None:
            count = rng.randrange(min(rule.most, 2) + 1)
            values[field.name] = tuple(anything(rng, rule.inner, real) for _ in range(count))
        else:
            count = rng.randrange(min(rule.most, 5) + 1) if rule.many else 1
            several = tuple(_value(rng, rule) for _ in range(count))
            values[field.name] = several if rule.many else several[0]
    return kind(**values)


def _fits(rule: Any, value: Any) -> bool:
    """Whether a value that is in use under a name can be that field's: names of fields mean several things."""
    if rule is None or rule.kinds[0] is Kind.NUMBER:
        return isinstance(value, int)
    if rule.kinds[0] is Kind.TEXT:
        return isinstance(value, str) and len(value) <= rule.most
    if rule.kinds[0] is Kind.BLOB:
        return isinstance(value, bytes) and rule.least <= len(value) <= rule.most
    return isinstance(value, bytes) and len(value) == 8


def any_address(rng: Random) -> Address:
    """An address of either family."""
    return Address(rng.randbytes(rng.choice((4, 4, 16))), rng.randrange(65_536))


def _value(rng: Random, rule: Any) -> Any:
    match rule.kinds[0]:
        case Kind.NUMBER if rule.boolean:
            return rng.random() < 0.5
        case Kind.NUMBER:
            return rng.choice((0, 1, rule.most, rng.randint(rule.least, rule.most)))
        case Kind.WIDE:
            return rng.randbytes(8)
        case Kind.TEXT:
            return "".join(rng.choice("abcäß-. 1🙂") for _ in range(rng.randrange(min(rule.most, 20) + 1)))
        case Kind.BLOB:
            return rng.randbytes(rng.randint(rule.least, min(rule.most, rule.least + 200)))
        case Kind.NUMBERS:
            return tuple(rng.getrandbits(20) for _ in range(rng.randrange(5)))
    return any_address(rng)
