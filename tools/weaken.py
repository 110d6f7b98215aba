"""Take one line of protection out of a copy of the program and see which attack then succeeds.

    python tools/weaken.py            all of them, one after the other; says which were noticed
    python tools/weaken.py WORD       those whose name has this word

A test that holds with and without the line it is for proves nothing: this shows that each does not.  The list is also
in docs/security/handshake.md; a test compares the two and sees that each line is still there.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from os import environ
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Weakening:
    """One line, what stands in its place, and the test in tests/security that must fail then."""

    name: str
    file: str
    line: str
    instead: str
    test: str

    def applied(self, source: str) -> str:
        """A file's text without the protection.  Raises ValueError where the line is not there once."""
        if source.count(self.line) != 1:
            raise ValueError(f"{self.name}: {self.file} holds {self.line!r} {source.count(self.line)} times")
        return source.replace(self.line, self.instead)


WEAKENINGS = (
    Weakening(
        "the signature",
        "link/persona.py",
        "if not suite.identity.verify(proof.key, proof.signature, label + transcript):",
        "if False:",
        "test_authentication.py::test_nobody_poses_with_a_credential_that_is_not_his",
    ),
    Weakening(
        "the credential's key",
        "link/persona.py",
        "if claims.key != proof.key:",
        "if False:",
        "test_authentication.py::test_nobody_poses_with_a_credential_that_is_not_his",
    ),
    Weakening(
        "Hello in the transcript",
        "link/handshake.py",
        'return suite.digest(encode_command(hello) + encode_command(replace(answer, proof=b"")))',
        'return suite.digest(encode_command(replace(answer, to=0, proof=b"")))',
        "test_authentication.py::test_no_field_can_be_changed_on_the_way",
    ),
    Weakening(
        "HelloAnswer in the transcript",
        "link/handshake.py",
        'return suite.digest(encode_command(hello) + encode_command(replace(answer, proof=b"")))',
        "return suite.digest(encode_command(hello))",
        "test_authentication.py::test_no_field_can_be_changed_on_the_way",
    ),
    Weakening(
        "proof_r in the transcript",
        "link/handshake.py",
        "return suite.digest(transcript + suite.digest(proof) + encode_command(finish))",
        "return suite.digest(transcript + encode_command(finish))",
        "test_authentication.py::test_misbinding_fails_even_for_who_knows_the_responders_secret",
    ),
    Weakening(
        "the suite's number refused",
        "link/handshake.py",
        "if hello.suite != suite.number:",
        "if False:",
        "test_authentication.py::test_nobody_is_talked_down_to_another_suite",
    ),
    Weakening(
        "whom one looks for",
        "link/handshake.py",
        "if self._key and party.key != self._key:",
        "if False:",
        "test_authentication.py::test_who_is_looked_for_is_the_only_one_who_learns_who_asks",
    ),
    Weakening(
        "a call's callee looked for",
        "path/reach.py",
        "return [Link(peer, route, self.key)]",
        "return [Link(peer, route)]  # nobody in particular",
        "test_authentication.py::test_a_call_looks_for_the_callees_key_on_every_way",
    ),
    Weakening(
        "the responder's secret in the hybrid: ML-KEM's half",
        "crypto/modern.py",
        'return DIGEST.derive(lattice + curve, "halloo hybrid envelope"',
        'return DIGEST.derive(curve, "halloo hybrid envelope"',
        "test_secrecy.py::test_who_breaks_x25519_later_reads_nothing",
    ),
    Weakening(
        "the responder's secret in the hybrid: X25519's half",
        "crypto/modern.py",
        'return DIGEST.derive(lattice + curve, "halloo hybrid envelope"',
        'return DIGEST.derive(lattice, "halloo hybrid envelope"',
        "test_secrecy.py::test_who_breaks_ml_kem_reads_nothing_either",
    ),
    Weakening(
        "both secrets in the keys",
        "crypto/modern.py",
        'keys = DIGEST.derive(initiators + responders, "halloo link", transcript, 72)',
        'keys = DIGEST.derive(initiators, "halloo link", transcript, 72)',
        "test_secrecy.py::test_who_breaks_x25519_later_reads_nothing",
    ),
    Weakening(
        "a fresh envelope for each link",
        "crypto/modern.py",
        'return rng.randbytes(_X + _KEM_SEED)',
        'return (identity * 3)[: _X + _KEM_SEED]',
        "test_secrecy.py::test_two_links_of_the_same_two_have_nothing_in_common",
    ),
    Weakening(
        "points of low order",
        "crypto/modern.py",
        "if _of_low_order(public):",
        "if False:",
        "test_secrecy.py::test_weak_keys_are_refused",
    ),
    Weakening(
        "the responder's secrets forgotten",
        "link/doorkeeper.py",
        "link.responder = None",
        "pass",
        "test_secrecy.py::test_a_node_forgets_the_keys_of_the_handshake",
    ),
    Weakening(
        "the initiator's secrets forgotten",
        "link/endpoint.py",
        "link.greeting, link.again_at, link.initiator = (), inf, None",
        "link.greeting, link.again_at = (), inf",
        "test_secrecy.py::test_a_node_forgets_the_keys_of_the_handshake",
    ),
    Weakening(
        "padding",
        "link/mouth.py",
        "return plain + bytes(fitting - whole)",
        "return plain",
        "test_secrecy.py::test_lengths_tell_little",
    ),
    Weakening(
        "a cookie asked for when many knock",
        "link/strangers.py",
        "if not isinstance(route, Wire) or len(self._links) < BUSY:",
        "if True:",
        "test_replay.py::test_a_flood_of_half_handshakes_leaves_room",
    ),
    Weakening(
        "the cookie compared",
        "link/strangers.py",
        "if hello.cookie != cookie:",
        "if False:",
        "test_replay.py::test_a_flood_of_half_handshakes_leaves_room",
    ),
    Weakening(
        "so many handshakes of one host",
        "link/strangers.py",
        "if self._by_host[_host(route)] >= MAX_OF_HOST:",
        "if False:",
        "test_replay.py::test_a_flood_of_half_handshakes_leaves_room",
    ),
    Weakening(
        "cookies followed twice at most",
        "link/handshake.py",
        "if self._retries == RETRIES:",
        "if False:",
        "test_replay.py::test_false_cookies_are_followed_twice_at_most",
    ),
    Weakening(
        "the window asked",
        "link/session.py",
        "if not self._window.fresh(sequence):",
        "if False:",
        "test_replay.py::test_whatever_is_replayed_is_heard_once",
    ),
    Weakening(
        "the window's edge",
        "link/replay.py",
        "return behind < 0 or (behind < SIZE and not self._seen >> behind & 1)",
        "return behind < 0 or not self._seen >> behind & 1",
        "test_replay.py::test_all_that_is_late_within_the_window_is_heard_and_nothing_beyond",
    ),
    Weakening(
        "the window moved only by what was opened",
        "link/session.py",
        "plain = self._opened(sequence, sealed, bytes([kind]) + link)",
        "self._window.mark(sequence); plain = self._opened(sequence, sealed, bytes([kind]) + link)",
        "test_replay.py::test_a_forged_packet_far_ahead_does_not_move_the_window",
    ),
    Weakening(
        "old keys bounded by the first packet under new ones",
        "link/session.py",
        "self._old_until = sequence\n",
        "pass\n",
        "test_recovery.py::test_the_first_word_under_new_keys_ends_the_old_ones",
    ),
    Weakening(
        "old keys bounded by the earliest packet under new ones",
        "link/session.py",
        "self._old_until = min(self._old_until, sequence)",
        "pass",
        "test_recovery.py::test_with_old_keys_nobody_speaks_after_the_renewal",
    ),
    Weakening(
        "old keys forgotten",
        "link/session.py",
        "self._old = None\n        return plain",
        "pass\n        return plain",
        "test_recovery.py::test_the_old_keys_leave_the_memory",
    ),
    Weakening(
        "fresh secrets in a renewal",
        "link/renewal.py",
        "return suite.digest.derive(before + fresh, _MIXED, transcript, len(before))",
        "return suite.digest.derive(before, _MIXED, transcript, len(before))",
        "test_recovery.py::test_the_old_secrets_and_all_that_was_said_do_not_give_the_new_ones",
    ),
    Weakening(
        "a ticket's tag",
        "link/tickets.py",
        "if same(suite.digest, key.secret, _tag(suite, key.secret, ticket[:-TAG]), ticket[-TAG:]):",
        "if True:",
        "test_resumption.py::test_a_ticket_cannot_be_made_another_users",
    ),
    Weakening(
        "a ticket serves once",
        "link/tickets.py",
        "if mark in key.spent:",
        "if False:",
        "test_resumption.py::test_a_resume_is_heard_once_from_wherever_it_comes_again",
    ),
    Weakening(
        "a ticket's end",
        "link/tickets.py",
        "if content.expires <= wall:",
        "if False:",
        "test_resumption.py::test_a_ticket_ends_with_its_time_its_credential_and_its_owners_word",
    ),
    Weakening(
        "a ticket's owner looked up again",
        "link/reentry.py",
        "standing(self._persona, admission.party, now + self._wall)",
        "pass",
        "test_resumption.py::test_a_ticket_ends_with_its_time_its_credential_and_its_owners_word",
    ),
    Weakening(
        "a ticket shown only to whom it is of",
        "link/tickets.py",
        "fits = not key or key == giver.key",
        "fits = True",
        "test_resumption.py::test_a_ticket_of_one_serves_with_no_other",
    ),
    Weakening(
        "the binder",
        "link/resumption.py",
        "if not same(suite.digest, content.secret, binder(suite, content.secret, self._spoken), heard.binder):",
        "if False:",
        "test_resumption.py::test_a_ticket_seen_on_the_way_serves_nobody_else",
    ),
    Weakening(
        "Resume in what it is bound to",
        "link/resumption.py",
        "return suite.digest(encode_command(bare))",
        'return suite.digest(encode_command(replace(bare, link=0, envelope=b"e")))',
        "test_resumption.py::test_no_field_of_a_resumption_can_be_changed",
    ),
    Weakening(
        "Resumed in the transcript",
        "link/resumption.py",
        "return LinkKeys(suite.number, *numbers, initiators, fresh, suite.digest(spoken + encoded))",
        "return LinkKeys(suite.number, *numbers, initiators, fresh, suite.digest(spoken))",
        "test_resumption.py::test_no_field_of_a_resumption_can_be_changed",
    ),
    Weakening(
        "the check of a Resumed",
        "link/resumption.py",
        "if not same(suite.digest, fresh, check(suite, keys), heard.check):",
        "if False:",
        "test_resumption.py::test_no_field_of_a_resumption_can_be_changed",
    ),
    Weakening(
        "the ticket's secret in the keys",
        "link/resumption.py",
        'initiators = suite.digest.derive(secret, "halloo resumed", spoken, len(secret))',
        'initiators = suite.digest.derive(bytes(32), "halloo resumed", spoken, len(secret))',
        "test_resumption.py::test_who_does_not_know_the_ticket_cannot_answer_for_its_giver",
    ),
    Weakening(
        "the fresh secret in the keys",
        "link/resumption.py",
        "return LinkKeys(suite.number, *numbers, initiators, fresh, suite.digest(spoken + encoded))",
        "return LinkKeys(suite.number, *numbers, initiators, bytes(len(fresh)), suite.digest(spoken + encoded))",
        "test_resumption.py::test_a_ticket_key_stolen_later_opens_what_was_early_and_no_more",
    ),
    Weakening(
        "early only what may be heard twice",
        "link/reentry.py",
        "any((each.number, each.form) not in EARLY for each in kinds)",
        "False",
        "test_resumption.py::test_only_what_may_be_heard_twice_is_heard_early",
    ),
    Weakening(
        "early only what was noted",
        "link/reentry.py",
        'packet = admission.early() if once else b""',
        "packet = admission.early()",
        "test_resumption.py::test_where_it_cannot_be_noted_nothing_is_heard_early",
    ),
    Weakening(
        "no more than he says before he confirms",
        "link/onelink.py",
        "return self.session is not None and self.admitted is None",
        "return self.session is not None",
        "test_resumption.py::test_who_gives_a_false_address_is_told_no_more_than_he_says",
    ),
    Weakening(
        "a nonce for each ticket",
        "link/tickets.py",
        'return suite.digest.derive(exporter, "halloo ticket", nonce, _SECRET)',
        "return exporter",
        "test_resumption.py::test_the_keys_of_a_link_do_not_follow_from_its_tickets",
    ),
    Weakening(
        "the seal's tag",
        "crypto/modern.py",
        'return self._cipher.decrypt(self._salt + sequence.to_bytes(8, "big"), sealed, beside)',
        'return self._cipher.encrypt(self._salt + sequence.to_bytes(8, "big"), sealed[:-16], b"")[:-16]',
        "test_integrity.py::test_sound_is_altered",
    ),
    Weakening(
        "the letter's signature",
        "login/letter.py",
        "if not suite.identity.verify(application.key, application.signature, text):",
        "if False:",
        "test_letters.py::test_a_letter_cannot_be_made_another_users",
    ),
    Weakening(
        "the enclosed secret signed with the letter",
        "login/letter.py",
        'return _POSSESSION + len(enclosed).to_bytes(2, "big") + enclosed + encode_shape(application)',
        "return _POSSESSION + encode_shape(application)",
        "test_letters.py::test_a_letter_cannot_be_passed_on",
    ),
    Weakening(
        "letters remembered",
        "login/server.py",
        "if mark in self._seen:",
        "if False:",
        "test_letters.py::test_a_replayed_letter_does_nothing_twice",
    ),
    Weakening(
        "letters of another time",
        "login/server.py",
        "if abs(application.wall - wall) > CLOCK_TOLERANCE:",
        "if False:",
        "test_letters.py::test_a_replayed_letter_does_nothing_twice",
    ),
    Weakening(
        "proofs stored as salted digests",
        "login/server.py",
        'return self.suite.digest.derive(proof, "halloo stored proof", salt, 32)',
        "return proof",
        "test_letters.py::test_a_stolen_file_of_accounts_logs_nobody_in",
    ),
    Weakening(
        "the network in the password's salt",
        "crypto/modern.py",
        'salt = DIGEST(b"halloo password\\n" + network + typed(name))[:16]',
        'salt = DIGEST(b"halloo password\\n" + typed(name))[:16]',
        "test_letters.py::test_a_stolen_file_can_be_guessed_at",
    ),
    Weakening(
        "one verdict for a wrong name and a wrong password",
        "login/server.py",
        "return Decision(verdict=Verdict.NAME_TAKEN if taken else Verdict.REFUSED, wall=wall)",
        "return Decision(verdict=Verdict.NAME_TAKEN if taken or account else Verdict.REFUSED, wall=wall)",
        "test_letters.py::test_no_answer_tells_whether_a_name_exists",
    ),
    Weakening(
        "the network's signature on a credential",
        "messages/credential.py",
        "if not any(self.verify_network(key, signature, text) for key in self.keys):",
        "if False:",
        "test_letters.py::test_only_the_networks_signature_certifies",
    ),
    Weakening(
        "the credential's network",
        "messages/credential.py",
        "if claims.network != self.network:",
        "if False:",
        "test_authentication.py::test_an_expired_or_foreign_credential_proves_nobody",
    ),
    Weakening(
        "the credential's end",
        "messages/credential.py",
        "if claims.expires <= wall:",
        "if False:",
        "test_authentication.py::test_an_expired_or_foreign_credential_proves_nobody",
    ),
)


def noticed(weakening: Weakening) -> bool:
    """Whether its test fails without the line."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch)
        shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__"))
        (copy / "tests").mkdir()
        for name in ("support", "security"):
            shutil.copytree(ROOT / "tests" / name, copy / "tests" / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "tests/conftest.py"):
            shutil.copy(ROOT / name, copy / name)
        file = copy / "src" / "halloo" / weakening.file
        file.write_text(weakening.applied(file.read_text("utf-8")), "utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        command.append(f"tests/security/{weakening.test}")
        environment = {**environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        run = subprocess.run(command, cwd=copy, env=environment, stdout=subprocess.PIPE, check=False)  # noqa: S603
        if run.returncode not in (0, 1):  # 1: tests failed; the rest: they could not be run
            raise RuntimeError(run.stdout.decode())
        return run.returncode == 1


def main(words: list[str]) -> int:
    """Try them; 1 where one was not noticed."""
    missed = 0
    for weakening in WEAKENINGS:
        if all(word in weakening.name for word in words):
            seen = noticed(weakening)
            missed += not seen
            print(f"{'noticed' if seen else 'MISSED '}  {weakening.file}: {weakening.name}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
