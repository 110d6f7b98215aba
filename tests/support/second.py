"""A second implementation, in small: written from docs/protocol alone, sharing no line with the first.

Command layer, both cloaks, both stream cloaks, the handshake's secrets and proofs, sealed packets, letters, all that
is signed.  It reads, and writes nothing.  If the text is wrong or lacks something, this cannot read the vectors.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import load_der_private_key
from second_lists import List, Tables

HIDDEN, BOUND, FIELDS = {0x02, 0x03, 0x0F}, {0x02}, {0x03: 9, 0x0B: 8, 0x0D: 4, 0x0F: 4}  # frames.md


class Wrong(Exception):
    """The bytes are not what the text says."""


# --- objects.md, commands.md ---


class Bytes:
    """A place in bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise Wrong("too short")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def varint(self) -> int:
        value = place = 0
        while True:
            (byte,) = self.take(1)
            value += (byte % 128) * 128**place
            place += 1
            if byte < 128:
                if place > 1 and byte == 0:
                    raise Wrong("a longer spelling")
                return value

    @property
    def over(self) -> bool:
        return self.at == len(self.data)


TABLES: list[Tables] = []
"""What tests/vectors/compression.json holds, once it was read."""


def objects(source: Bytes, depth: int = 1, subject: int = 0, network: bytes = b"") -> list[tuple[int, int, Any]]:
    """(kind, id, value) of a list."""
    start = source.take(1)
    if start == b"\x42":
        unpacked = List(source.data[source.at :], subject, TABLES[0], network)
        source.at += unpacked.at
        return unpacked.objects
    if start != b"\x41" or depth > 4:
        raise Wrong("no list")
    return [_object(source, depth) for _ in range(source.varint())]


def _object(source: Bytes, depth: int) -> tuple[int, int, Any]:
    kind, key = source.number(1), source.varint()
    value: Any
    if kind == 0:
        value = source.varint()
    elif kind == 1:
        value = source.take(8)
    elif kind in (2, 7):
        value = source.take(4 if kind == 2 else 16), source.number(2)
    elif kind == 3:
        end = source.data.index(b"\0", source.at)
        value = source.take(end - source.at).decode()
        source.take(1)
    elif kind == 4:
        value = source.take(source.varint())
    elif kind == 5:
        value = objects(source, depth + 1)
    elif kind == 6:
        value = [source.varint() for _ in range(source.varint())]
    else:
        raise Wrong(f"kind {kind}")
    return kind, key, value


@dataclass
class Command:
    """One command of a payload."""

    number: int
    form: int
    request: int | None
    parameters: list[tuple[int, int, Any]]

    def one(self, key: int) -> Any:
        return next(value for _, each, value in self.parameters if each == key)


def commands(payload: bytes, network: bytes = b"") -> list[Command]:
    """The row of commands in a payload."""
    source, out = Bytes(payload), []
    while not source.over and (length := source.varint()):
        head = source.varint()
        body = Bytes(source.take(length))
        form = head & 7
        request = body.number(2) if form in (2, 3) else None
        out.append(Command(head >> 3, form, request, objects(body, 1, head >> 3, network)))
        if not body.over:
            raise Wrong("bytes that belong to nothing")
    return out


# --- suites.md: classic ---


class RC4:
    """The cipher, as in any textbook."""

    def __init__(self, key: bytes) -> None:
        self.state, self.i, self.j = list(range(256)), 0, 0
        j = 0
        for i in range(256):
            j = (j + self.state[i] + key[i % len(key)]) % 256
            self.state[i], self.state[j] = self.state[j], self.state[i]

    def __call__(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            self.i = (self.i + 1) % 256
            self.j = (self.j + self.state[self.i]) % 256
            a, b = self.state[self.i], self.state[self.j]
            self.state[self.i], self.state[self.j] = b, a
            out.append(byte ^ self.state[(a + b) % 256])
        return bytes(out)


def expand(seed: int) -> bytes:
    return b"".join(hashlib.sha1(seed.to_bytes(4, "big") + n.to_bytes(4, "big")).digest() for n in range(4))


def crc(data: bytes) -> int:
    return zlib.crc32(data) ^ 0xFFFFFFFF


@dataclass
class Frame:
    """A datagram without its cloak."""

    frame: int
    kind: int
    fields: bytes
    body: bytes


def classic_datagram(data: bytes, source: bytes, destination: bytes) -> Frame:
    """Lift the classic cloak."""
    reader = Bytes(data)
    frame, kind = reader.number(2), reader.number(1) & 0x8F
    if kind == 0x0D and reader.over:
        return Frame(frame, kind, b"", b"")
    fields = reader.take(FIELDS.get(kind, 0))
    if kind not in HIDDEN:
        return Frame(frame, kind, fields, reader.data[reader.at :])
    if kind == 0x03:
        seed = frame ^ int.from_bytes(fields[1:5], "big")
    else:
        vector = reader.number(4)
        if kind not in BOUND:
            source, destination = bytes(len(source)), bytes(len(destination))
        text = source[::-1] + destination[::-1] + frame.to_bytes(2, "little") + b"\0\0"
        seed = crc(text) ^ vector
    check = reader.number(4)
    body = RC4(expand(seed))(reader.data[reader.at :])
    if crc(body) != check:
        raise Wrong("the check")
    return Frame(frame, kind, fields, body)


def classic_stream(data: bytes) -> bytes:
    """What follows the opening, uncovered."""
    key = expand(int.from_bytes(data[:4], "big"))
    known = RC4(key)(data[4:14])
    if known[:9] != bytes.fromhex("000100000001000000") or known[9] not in (1, 3):
        raise Wrong("the opening")
    return RC4(key)(data[14:])


def classic_derive(secret: bytes, label: str, context: bytes, size: int) -> bytes:
    text = secret + label.encode() + context
    return b"".join(hashlib.sha1(n.to_bytes(4, "big") + text).digest() for n in range(size // 20 + 1))[:size]


def classic_open(key: bytes, sequence: int, sealed: bytes, beside: bytes) -> bytes:
    hidden, check = sealed[:-2], int.from_bytes(sealed[-2:], "big")
    if (crc(beside + hidden) ^ sequence) % 65_536 != check:
        raise Wrong("the seal")
    block = key[32:] * 2 + sequence.to_bytes(6, "big") + b"\0\0"
    return Cipher(algorithms.AES(key[:32]), modes.CTR(block)).decryptor().update(hidden)


def classic_agree(initiators: bytes, responders: bytes, transcript: bytes) -> tuple[bytes, bytes]:
    key = classic_derive(initiators, "", b"", 16) + classic_derive(responders, "", b"", 16)
    salt = hashlib.sha1(transcript).digest()[:4]
    return key + salt, key + bytes(255 - byte for byte in salt)


def classic_disclose(private: bytes, enclosed: bytes) -> bytes:
    key: Any = load_der_private_key(private, None)
    return bytes(key.decrypt(enclosed, OAEP(MGF1(SHA1()), SHA1(), None)))


# --- suites.md: modern ---


def modern_derive(secret: bytes, label: str, context: bytes, size: int) -> bytes:
    return HKDF(SHA256(), size, hashlib.sha256(context).digest(), label.encode()).derive(secret)


def _xor(data: bytes, mask: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(data, mask, strict=False))


def modern_datagram(key: bytes, data: bytes, source: bytes, destination: bytes) -> Frame:
    """Lift the modern cloak."""
    if len(data) < 19:
        raise Wrong("too short")
    mask_key, body_key, check_key = (
        modern_derive(key, f"halloo cloak {what}", b"", 32) for what in ("mask", "body", "check")
    )
    nonce = data[-16:]
    block = Cipher(algorithms.AES(mask_key), modes.ECB()).encryptor()
    mask = block.update(_xor(nonce, len(data).to_bytes(16, "big")))
    func = data[2] ^ mask[2]
    kind = func & 0x8F
    start = _xor(data[: 3 + FIELDS.get(kind, 0)], mask)
    rest = data[len(start) :]

    def stream(covered: bytes) -> bytes:
        return Cipher(algorithms.ChaCha20(body_key, nonce), None).decryptor().update(covered)

    frame = int.from_bytes(start[:2], "big")
    if kind in HIDDEN:
        plain = stream(rest[:-16])
        body, check, bound = plain[:-8], plain[-8:-4], plain[-4:]
        text = start + body + nonce
        if hashlib.blake2s(text, key=check_key, digest_size=4).digest() != check:
            raise Wrong("the check")
        hosts = source + destination if kind in BOUND else b""
        if hashlib.blake2s(text + hosts, key=check_key, digest_size=4, person=b"bound").digest() != bound:
            raise Wrong("the bound check")
        return Frame(frame, kind, start[3:], body)
    if not func & 0x10:
        return Frame(frame, kind, start[3:], rest)
    if kind in FIELDS and len(data) == 19:
        return Frame(frame, kind, b"", b"")
    return Frame(frame, kind, start[3:], stream(rest[:-16]))


def modern_stream(key: bytes, data: bytes) -> bytes:
    """What follows the opening, uncovered."""
    salt = data[:32]
    cipher = Cipher(algorithms.ChaCha20(modern_derive(key, "halloo stream cloak", salt, 32), bytes(16)), None)
    plain = cipher.decryptor().update(data[32:])
    if plain[:4] != hashlib.sha256(salt + key).digest()[:4]:
        raise Wrong("the opening")
    return plain[5 + plain[4] :]


def modern_open(key: bytes, sequence: int, sealed: bytes, beside: bytes) -> bytes:
    return AESGCM(key[:32]).decrypt(key[32:] + sequence.to_bytes(8, "big"), sealed, beside)


def modern_agree(initiators: bytes, responders: bytes, transcript: bytes) -> tuple[bytes, bytes]:
    keys = modern_derive(initiators + responders, "halloo link", transcript, 72)
    return keys[:36], keys[36:]


def modern_disclose(private: bytes, enclosed: bytes) -> bytes:
    """Of the hybrid envelope."""
    curve = X25519PrivateKey.from_private_bytes(private[:32])
    lattice = MLKEM768PrivateKey.from_seed_bytes(private[32:])
    shared = curve.exchange(X25519PublicKey.from_public_bytes(enclosed[:32]))
    public = curve.public_key().public_bytes_raw() + lattice.public_key().public_bytes_raw()
    secret = lattice.decapsulate(enclosed[32:]) + shared
    return modern_derive(secret, "halloo hybrid envelope", enclosed + public, 32)


def curve_disclose(private: bytes, enclosed: bytes) -> bytes:
    """Of the answer envelope."""
    curve = X25519PrivateKey.from_private_bytes(private)
    shared = curve.exchange(X25519PublicKey.from_public_bytes(enclosed))
    return modern_derive(shared, "halloo curve envelope", enclosed + curve.public_key().public_bytes_raw(), 32)


# --- suites.md: signatures -------------------------------------------------------------------------------------------


def classic_verify(public: bytes, signature: bytes, text: bytes) -> bool:
    key = RSAPublicNumbers(65_537, int.from_bytes(public, "big")).public_key()
    try:
        key.verify(signature, text, PKCS1v15(), SHA1())
    except InvalidSignature:
        return False
    return True


def modern_verify(public: bytes, signature: bytes, text: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except InvalidSignature:
        return False
    return True


# --- credentials.md, log.md, network.md ------------------------------------------------------------------------------


def entry_hash(suite: Suite, network: bytes, entry: Command) -> bytes:
    """Of an entry of the log."""
    text = b"halloo log entry\n" + network + entry.one(0x01).to_bytes(8, "big")
    text += bytes([entry.one(0x02)]) + entry.one(0x05).to_bytes(8, "big")
    for key in (0x03, 0x04, 0x06, 0x07):
        text += len(entry.one(key)).to_bytes(2, "big") + entry.one(key)
    return suite.digest(text)


def told_text(suite: Suite, network: bytes, question: Command, answer: Command) -> bytes:
    """What is signed of an answer about the log."""
    entries = [Command(0, 0, None, value) for _, key, value in answer.parameters if key == 0x01]
    (head,) = [Command(0, 0, None, value) for _, key, value in answer.parameters if key == 0x02]
    flags = {key for _, key, value in answer.parameters if key == 0x03 and value}
    name = question.one(0x03)
    text = b"halloo log told\n" + question.one(0x01).to_bytes(8, "big") + question.one(0x06).to_bytes(8, "big")
    text += bytes([question.one(0x02), any(key == 0x04 for _, key, _ in question.parameters), len(name)]) + name
    assert answer.request is not None
    text += answer.request.to_bytes(2, "big") + bytes([len(flags), len(entries)])
    return text + b"".join(entry_hash(suite, network, each) for each in entries) + head.one(0x01)


def shape(data: bytes) -> Command:
    """A list that stands alone, to be asked for its values."""
    source = Bytes(data)
    found = objects(source)
    if not source.over:
        raise Wrong("bytes that belong to nothing")
    return Command(0, 0, None, found)


# --- streams.md ---


def stream_frames(plain: bytes) -> list[tuple[str, bytes]]:
    """(payload or the control frame's type, content) of whole frames."""
    source, out = Bytes(plain), []
    while not source.over:
        value = source.varint()
        content = source.take(value >> 1)
        out.append((f"{content[0]:02x}", content[1:]) if value & 1 else ("payload", content[2:]))
    return out


# --- handshake.md ---


@dataclass
class Suite:
    """What the two suites do in each place."""

    digest: Callable[[bytes], bytes]
    derive: Callable[[bytes, str, bytes, int], bytes]
    open: Callable[[bytes, int, bytes, bytes], bytes]
    agree: Callable[[bytes, bytes, bytes], tuple[bytes, bytes]]
    disclose: Callable[[bytes, bytes], bytes]
    disclose_answer: Callable[[bytes, bytes], bytes]
    verify: Callable[[bytes, bytes, bytes], bool]


SUITES = {
    "classic": Suite(
        lambda data: hashlib.sha1(data).digest(),
        classic_derive,
        classic_open,
        classic_agree,
        classic_disclose,
        classic_disclose,
        classic_verify,
    ),
    "modern": Suite(
        lambda data: hashlib.sha256(data).digest(),
        modern_derive,
        modern_open,
        modern_agree,
        modern_disclose,
        curve_disclose,
        modern_verify,
    ),
}


def unfilled(plain: bytes, size: int) -> list[tuple[int, int, Any]]:
    """login.md: the shape in a letter that was filled up."""
    length = int.from_bytes(plain[:2], "big")
    if len(plain) % size or any(plain[2 + length :]):
        raise Wrong("the filling")
    return objects(Bytes(plain[2 : 2 + length]))


def without_proof(command: bytes, proof: bytes) -> bytes:
    """A command of the handshake with an empty proof, which is its last object."""
    return emptied(command, (0x05, proof))


def emptied(command: bytes, *last: tuple[int, bytes]) -> bytes:
    """A command whose last objects, blobs of these ids, are empty."""
    source = Bytes(command)
    source.varint()
    head_at = source.at
    source.varint()
    body_at = source.at
    tail = b"".join(bytes([4, key]) + _varint(len(blob)) + blob for key, blob in last)
    if not command.endswith(tail):
        raise Wrong("other objects at the end")
    body = command[body_at : -len(tail)] + b"".join(bytes([4, key, 0]) for key, _ in last)
    return _varint(len(body)) + command[head_at:body_at] + body


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value % 128 + 128])
        value //= 128
    return out + bytes([value])
