"""One function of bytes for each pure entrance: what the coverage-guided harness calls, and what plays a corpus.

Each takes any bytes, raises nothing that is not a bug, and checks what it can of what was read.  ``TARGETS`` is the
whole list; the inputs kept for each are in ``fuzz/corpus``, under its name.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from fuzz._anything import SHAPES
from fuzz._machines import PEERS
from fuzz._stages import stages
from halloo.api.language import Trouble, files_of, parse
from halloo.base.address import Address
from halloo.base.errors import HallooError, Malformed, PeerError
from halloo.crypto.suite import Covered
from halloo.link.datagrams import LAYOUTS
from halloo.link.reliable import QUEUE, WINDOW, Reliable
from halloo.media.codec import FRAME_BYTES
from halloo.media.packet import Packet
from halloo.messages.catalogue import OPEN, SEALED
from halloo.node.descriptor import Descriptor, from_link, from_toml
from halloo.overlay.hostcache import CAPACITY, HostCache
from halloo.path.relayer import Relayer
from halloo.runtime.home import Home
from halloo.runtime.opus import OpusDecoder
from halloo.runtime.wav import read_wav
from halloo.wire.buffer import Reader
from halloo.wire.command import decode_commands, decode_shape, encode_command, encode_shape, split_commands
from halloo.wire.frame import MAX_STREAM_FRAME, Reassembly, StreamReader, decode_ack, decode_nack
from halloo.wire.objects import decode_objects, encode_objects, shortest_form

__all__ = ["TARGETS"]

KINDS = [*SHAPES, Descriptor]
EVERYONE = {**OPEN, **SEALED}


def wire(data: bytes) -> None:
    """Commands, in all languages."""
    try:
        messages = decode_commands(data, EVERYONE)
        assert decode_commands(b"".join(map(encode_command, messages)), EVERYONE) == messages
    except Malformed:
        pass
    try:
        assert data.startswith(b"".join(split_commands(data)))
    except Malformed:
        pass


def shapes(data: bytes) -> None:
    """The bare list, and every shape."""
    try:
        listed = decode_objects(Reader(data))
    except Malformed:
        return
    assert decode_objects(Reader(encode_objects(listed))) == listed
    for kind in KINDS:
        try:
            value = decode_shape(kind, data)
            assert decode_shape(kind, encode_shape(value)) == value
        except Malformed:
            pass


def squeeze(data: bytes) -> None:
    """A list of the command whose number comes first, raw or compressed; what was read is compressed and read again."""
    subject = int.from_bytes(data[:2], "big") & 0xFFF
    try:
        listed = decode_objects(Reader(data[2:]), subject)
    except Malformed:
        return
    assert decode_objects(Reader(shortest_form(listed, subject)), subject) == listed


def frames(data: bytes) -> None:
    """A stream, in two pieces; the small bodies; fragments."""
    reader = StreamReader()
    try:
        for piece in (data[: len(data) // 3], data[len(data) // 3 :]):
            reader.feed(piece)
            assert len(reader._held) <= MAX_STREAM_FRAME + 4
    except Malformed:
        pass
    for decode in (decode_ack, decode_nack):
        try:
            decode(data)
        except Malformed:
            pass
    held, now = Reassembly(), 0.0
    for chunk in _chunks(data):
        now += chunk[-1] / 100 if chunk else 0
        try:
            held.add(chunk[:4].ljust(4, b"\0"), chunk[4:], now)
        except Malformed:
            pass
    assert held.held <= len(data)


def reliable(data: bytes) -> None:
    """Packets of a link, and what is said meanwhile."""
    link, now = Reliable(), 0.0
    for chunk in _chunks(data):
        now += 0.1
        link.say(b"\x02\x21\x41\x00")
        link.packets(now, 1_000)
        try:
            link.heard(chunk, now)
        except Malformed:
            pass
    assert len(link._early) <= WINDOW
    assert len(link._unheard) <= QUEUE


def endpoint(data: bytes) -> None:
    """Datagrams under the right cloak at an endpoint that has links: kind, head, body and sender are free."""
    ear = _stage("endpoint").machine()
    now = _stage("endpoint").now
    rng = Random(1)
    host = ear.datagrams.hosts[0] if ear.datagrams.hosts else bytes(4)
    for chunk in _chunks(data):
        now += 0.05
        kind = list(LAYOUTS)[chunk[0] % len(LAYOUTS)] if chunk else 2
        address = Address(bytes([10, 1, 0, chunk[1] % 4 if len(chunk) > 1 else 1]), 33033)
        head = chunk[2 : 2 + LAYOUTS[kind].head].ljust(LAYOUTS[kind].head, b"\0")
        covered = Covered(chunk[0] if chunk else 0, kind, head, chunk[2 + LAYOUTS[kind].head :])
        ear.receive(ear.datagrams.cloak.cover(covered, address.host, host, rng), address, now)
        ear.flush(now)
    assert ear.wake_at > 0


def relayer(data: bytes) -> None:
    """Datagrams to be passed on, with tokens and senders of any kind."""
    relay: Relayer = _stage("relayer").machine()
    now = _stage("relayer").now
    tokens = list(relay._channels)
    for chunk in _chunks(data):
        token = tokens[chunk[0] % len(tokens)] if chunk and chunk[0] < 200 else int.from_bytes(chunk[:8], "big")
        sender = PEERS[chunk[1] % len(PEERS)] if len(chunk) > 1 else None
        relay.carried(token, chunk[2:], sender, now)
    assert relay.channels <= len(tokens)


def descriptor(data: bytes) -> None:
    """A link and a file."""
    for read in (from_link, from_toml):
        try:
            read(data.decode("utf-8", "replace"))
        except HallooError:
            pass


def hostcache(data: bytes) -> None:
    """A host cache."""
    try:
        cache = HostCache.load(data.decode("utf-8", "replace"))
    except HallooError:
        return
    assert len(cache) <= CAPACITY
    assert HostCache.load(cache.dump()).dump() == cache.dump()


def account(data: bytes) -> None:
    """The account file of a home."""
    home = _home()
    home.account_path.parent.mkdir(exist_ok=True)
    home.account_path.write_bytes(data)
    try:
        home.account()
    except HallooError:
        pass


def language(data: bytes) -> None:
    """A line of the command language."""
    text = data.decode("utf-8", "replace")
    files_of(text)
    try:
        assert parse(text).words
    except Trouble:
        pass


def recording(data: bytes) -> None:
    """A WAV file."""
    path = _home().path / "input.wav"
    path.write_bytes(data)
    try:
        rate, sound = read_wav(path)
    except HallooError:
        return
    assert 4_000 <= rate <= 192_000
    assert len(sound) <= len(data)


def sound(data: bytes) -> None:
    """A packet of sound, and what Opus makes of its frame."""
    decoder = _opus()
    try:
        packet = Packet.parse(data)
        assert packet.build() == data
        data = packet.frame
    except Malformed:
        pass
    for decode in (decoder.decode, decoder.decode_lost_from):
        try:
            assert len(decode(data)) == FRAME_BYTES
        except PeerError:
            pass
    decoder.has_copy(data)


def _chunks(data: bytes) -> Iterator[bytes]:
    """Several inputs in one: each behind its length."""
    at = 0
    while at < len(data):
        size = data[at]
        yield data[at + 1 : at + 1 + size]
        at += 1 + size


@cache
def _stage(name: str) -> Any:
    return [stage for stage in stages() if stage.subject.name == name][-1]


@cache
def _home() -> Home:
    folder = tempfile.TemporaryDirectory(prefix="halloo-fuzz-")
    _kept.append(folder)
    return Home(Path(folder.name))


_kept: list[tempfile.TemporaryDirectory[str]] = []


@cache
def _opus() -> OpusDecoder:
    return OpusDecoder()


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        *(wire, squeeze, shapes, frames, reliable, endpoint, relayer),
        *(descriptor, hostcache, account, language, recording, sound),
    )
}
