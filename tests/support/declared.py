"""Values of everything that is declared in ``messages/``: any, for hypothesis, and the largest."""

from __future__ import annotations

import dataclasses
from typing import Any

from framed import HOSTS
from hypothesis import strategies as st

from halloo.base.address import Address
from halloo.messages import log, login
from halloo.messages.catalogue import OPEN, SEALED
from halloo.messages.credential import Claims, Listing, Record, SignedClaims
from halloo.messages.link import Proof
from halloo.node.descriptor import Descriptor
from halloo.wire.objects import Kind

__all__ = ["ADDRESSES", "MESSAGES", "SHAPES", "largest", "of_class"]

MESSAGES: list[Any] = [declared.kind for declared in {**OPEN, **SEALED}.values()]
LOG_SHAPES = (log.LogEntry, log.Head, log.SignedHead)
LOGIN_SHAPES = (login.Application, login.Decision)
SHAPES: list[Any] = [Claims, SignedClaims, Listing, Record, Proof, *LOGIN_SHAPES, *LOG_SHAPES, Descriptor]
ADDRESSES = st.builds(Address, HOSTS, st.integers(0, 0xFFFF))
LETTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])


def of_rule(rule: Any) -> st.SearchStrategy[Any]:
    """Values that a field may have."""
    if rule.inner is not None:
        return st.lists(of_class(rule.inner), max_size=min(rule.most, 2)).map(tuple)
    match rule.kinds[0]:
        case Kind.NUMBER if rule.boolean:
            one: st.SearchStrategy[Any] = st.booleans()
        case Kind.NUMBER:
            one = st.integers(rule.least, rule.most)
        case Kind.WIDE:
            one = st.binary(min_size=8, max_size=8)
        case Kind.TEXT:
            one = st.text(LETTERS, max_size=min(rule.most, 12))
        case Kind.BLOB:
            one = st.binary(min_size=rule.least, max_size=max(rule.least, min(rule.most, 40)))
        case Kind.NUMBERS:
            return st.lists(st.integers(0, 1 << 32), max_size=4).map(tuple)
        case _:
            one = ADDRESSES
    return st.lists(one, max_size=min(rule.most, 3)).map(tuple) if rule.many else one


def of_class(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Instances of a declared class."""
    fields = {}
    for field in dataclasses.fields(kind):
        rule = field.metadata.get("rule")
        fields[field.name] = of_rule(rule) if rule is not None else st.integers(0, 0xFFFF)
    return st.builds(kind, **fields)


def largest(kind: type[Any]) -> Any:
    """The value of a declared class that takes most bytes."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        rule = field.metadata.get("rule")
        if rule is None:
            values[field.name] = 0xFFFF
            continue
        match rule.kinds[0]:
            case Kind.OBJECTS:
                one: Any = largest(rule.inner)
            case Kind.NUMBER:
                one = True if rule.boolean else rule.most
            case Kind.WIDE:
                one = bytes(8)
            case Kind.TEXT:
                one = "🙂" * rule.most
            case Kind.BLOB:
                one = bytes(rule.most)
            case Kind.NUMBERS:
                one = ((1 << 64) - 1,) * rule.most
            case _:
                one = Address(bytes(16), 0xFFFF)
        values[field.name] = (one,) * rule.most if rule.many else one
    return kind(**values)
