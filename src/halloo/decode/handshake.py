"""Explains what a handshake and a login letter keep under seal, where a key to it was given."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TypeVar

from halloo.base.errors import HallooError
from halloo.base.machine import Message
from halloo.crypto.suite import Suite
from halloo.decode.commands import explain_shape
from halloo.decode.keys import Keys
from halloo.decode.tree import Part
from halloo.link.handshake import INITIATOR, RESPONDER, after_answer, after_finish
from halloo.link.persona import proof_seal
from halloo.login.letter import Correspondence, open_letter
from halloo.messages.link import Finish, Hello, HelloAnswer, Proof
from halloo.messages.login import Application, CarryLetter, Decision, Letter, LetterAnswer, LetterBack
from halloo.wire.command import encode_shape

__all__ = ["Talks"]

MAX_HELD = 4_096  # handshakes and letters begun and not ended that are remembered
MAX_ALIKE = 8  # letters with the same request number, of different nodes
Held = TypeVar("Held")


class Talks:
    """Handshakes and letters under way: what one message says may open the next."""

    def __init__(self, suite: Suite, keys: Keys) -> None:
        self._suite = suite
        self._keys = keys
        self._hellos: OrderedDict[int, Hello] = OrderedDict()
        self._answers: OrderedDict[int, tuple[HelloAnswer, bytes]] = OrderedDict()
        """By the responder's number: the answer, and the digest of all said so far."""
        self._letters: OrderedDict[int, list[Correspondence]] = OrderedDict()

    def explain(self, message: Message) -> list[Part]:
        """What a message keeps under seal, opened; nothing where no key fits."""
        match message:
            case Hello():
                _keep(self._hellos, message.link, message)
            case HelloAnswer():
                return self._answer(message)
            case Finish():
                return self._finish(message)
            case Letter() | CarryLetter():
                return self._letter(Letter(enclosed=message.enclosed, sealed=message.sealed, request=message.request))
            case LetterAnswer() | LetterBack():
                return self._letter_answer(LetterAnswer(sealed=message.sealed, request=message.request))
        return []

    def _answer(self, answer: HelloAnswer) -> list[Part]:
        hello = self._hellos.get(answer.to)
        if hello is None:
            return []
        transcript = after_answer(self._suite, hello, answer)
        _keep(self._answers, answer.link, (answer, transcript))
        keys = self._keys.links.get((answer.to, answer.link), [])
        return self._proof("the responder", RESPONDER, [each.responders for each in keys], transcript, answer.proof)

    def _finish(self, finish: Finish) -> list[Part]:
        answer, transcript = self._answers.get(finish.to, (None, b""))
        if answer is None:
            return []
        keys = self._keys.links.get((answer.to, answer.link), [])
        transcript = after_finish(self._suite, transcript, answer.proof, replace(finish, proof=b""))
        secrets = [each.initiators + each.responders for each in keys]
        return self._proof("the initiator", INITIATOR, secrets, transcript, finish.proof)

    def _proof(self, who: str, label: bytes, secrets: list[bytes], transcript: bytes, sealed: bytes) -> list[Part]:
        for secret in secrets:
            try:
                plain = proof_seal(self._suite, label, secret, transcript).open(0, sealed, transcript)
            except HallooError:
                continue
            part = explain_shape(Proof, plain)
            part.name, part.meaning = f"the proof of {who}, opened", "shape Proof"
            return [part]
        return [Part(f"the proof of {who}", 0, b"", "the keys that were given do not open it")] if secrets else []

    def _letter(self, letter: Letter) -> list[Part]:
        if not self._keys.letter:
            return []
        try:
            application, correspondence = open_letter(self._suite, self._keys.letter, letter)
        except HallooError:
            return [Part("the letter", 0, b"", "the letter key that was given does not open it")]
        held = self._letters.get(letter.request, [])
        _keep(self._letters, letter.request, [*held, correspondence][-MAX_ALIKE:])
        return [_opened("the letter, opened", Application, encode_shape(application))]

    def _letter_answer(self, answer: LetterAnswer) -> list[Part]:
        for correspondence in reversed(self._letters.get(answer.request, [])):
            try:
                decision = correspondence.open_answer(answer)
            except HallooError:
                continue
            return [_opened("the answer, opened", Decision, encode_shape(decision))]
        return []


def _opened(name: str, kind: type[Application] | type[Decision], plain: bytes) -> Part:
    part = explain_shape(kind, plain)
    part.name, part.meaning = name, f"shape {kind.__name__}"
    return part


def _keep(held: OrderedDict[int, Held], key: int, value: Held) -> None:
    held[key] = value
    held.move_to_end(key)
    if len(held) > MAX_HELD:
        held.popitem(last=False)
