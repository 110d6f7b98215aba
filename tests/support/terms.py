"""Symbols for cryptography that is perfect, and what follows from some of them.

    public, secret, id       atoms
    tuple, hash, key         put together by whoever has the parts; a tuple is taken apart by anybody
    envelope                 a public key, of its private part
    enclosed                 a secret under an envelope
    sealed                   key, text, what stands beside
    signature                of a user over a text: made with the secret "sk NAME"
"""

from __future__ import annotations

__all__ = ["Knowledge", "Term", "parts_of", "term"]

Term = int
_TABLE: dict[tuple[str | Term, ...], Term] = {}
_TERMS: list[tuple[str | Term, ...]] = []


def term(tag: str, *parts: str | Term) -> Term:
    """A term by its number; equal terms have equal numbers."""
    key = (tag, *parts)
    number = _TABLE.get(key)
    if number is None:
        number = _TABLE[key] = len(_TERMS)
        _TERMS.append(key)
    return number


def parts_of(number: Term) -> tuple[str | Term, ...]:
    """Tag and parts of a term."""
    return _TERMS[number]


class Knowledge:
    """What follows from some terms: taken apart once, put together on demand."""

    def __init__(self, known: frozenset[Term], broken: frozenset[str] = frozenset()) -> None:
        self.known = set(known)
        self._broken = broken
        self._made: dict[Term, bool] = {}
        while self._take_apart():
            self._made.clear()
        self._made.clear()

    def __contains__(self, number: Term) -> bool:
        if number in self.known:
            return True
        held = self._made.get(number)
        if held is None:
            held = self._made[number] = self._make(number)
        return held

    def _make(self, number: Term) -> bool:
        tag, *parts = parts_of(number)
        match tag:
            case "public":
                return True
            case "secret" | "id":
                return False
            case "signature":  # of a user over a text
                who, text = parts
                return term("secret", f"sk {who}") in self and text in self
            case _:
                return all(isinstance(part, str) or part in self for part in parts)

    def _take_apart(self) -> bool:
        fresh: set[Term] = set()
        for number in self.known:
            tag, *parts = parts_of(number)
            if tag == "tuple":
                fresh.update(part for part in parts if isinstance(part, int))
            elif tag == "sealed" and parts[0] in self:
                assert isinstance(parts[1], int)
                fresh.add(parts[1])
            elif tag == "enclosed":
                public, secret = parts
                assert isinstance(public, int)
                assert isinstance(secret, int)
                _, kind, private = parts_of(public)
                if kind in self._broken or private in self:
                    fresh.add(secret)
        fresh -= self.known
        self.known |= fresh
        return bool(fresh)
