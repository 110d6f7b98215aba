"""What the wire costs: how short compressed object lists are, how fast, and what a signalling datagram takes.

    python -m bench.wire [--json] [--seeds 101,102]

Sizes are those of signalling captured from networks of other seeds than the tables were trained on, beside zstd with a
dictionary, and zlib with a preset one, both made from the training traffic; like our nodes, each of them may leave a
list as it is where that is shorter.  What only makes a question longer, so that its answer is no louder, is left out
for all of them: nobody may shorten it.  Handshakes and letters are shown apart: what is long in them is keys,
ciphertexts and signatures, which nothing compresses.  A datagram's cost is set beside a bare AES-256-GCM of the same
bytes.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import statistics
import time
import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench._traffic import Captured, captured
from halloo.base.address import Address, Peer, Wire
from halloo.base.effects import Transmit
from halloo.base.machine import Message
from halloo.crypto.suite import Suite
from halloo.crypto.suites import suite_named
from halloo.link.endpoint import Endpoint
from halloo.link.persona import Persona
from halloo.messages import block, call, directory, overlay, path, role, whitepages
from halloo.messages.catalogue import OPEN, SEALED
from halloo.messages.credential import Notary
from halloo.wire.buffer import Reader
from halloo.wire.objects import ObjectList, decode_objects, encode_objects, shortest_form

TRAINING = (1, 2, 3, 4)
TARGETS = {
    "signalling_share": ("<=", 0.75),
    "signalling_beside_zstd": ("<", 1.0),
    "encode_us": ("<=", 150),
    "decode_us": ("<=", 150),
    "datagram_modern_us": ("<=", 250),
    "datagram_classic_us": ("<=", 400),
}
NAMES = {declared.number: declared.kind.__name__ for declared in (*OPEN.values(), *SEALED.values())}
SPOKEN = {each.__name__ for each in (block, directory, overlay, role, whitepages)}
KEYS = {declared.number for declared in OPEN.values() if declared.kind.__module__ not in SPOKEN}
"""Commands that carry keys: handshakes and letters."""
ROUNDS = 7
HERE, THERE = Address.parse("192.0.2.1:1000"), Address.parse("192.0.2.2:2000")


# --- sizes --------------------------------------------------------------------------------------------------------


def sizes(seeds: list[int]) -> dict[str, Any]:
    """Bytes of all lists: raw, ours, zstd, zlib."""
    said_before = [one for seed in TRAINING for one in captured(seed)["modern"]]
    trained = [encode_objects(_without_padding(objects)) for _, objects, _ in said_before]
    rivals = {"zstd": _zstd(trained), "zlib": _zlib(trained)}
    figures: dict[str, Any] = {}
    by_command: dict[str, Counter[str]] = {}
    for suite in ("modern", "classic", "plain"):
        said = [one for seed in seeds for one in captured(seed)[suite]]
        for share, of_keys in (("signalling", False), ("keys", True)):
            chosen = [one for one in said if (one[0] in KEYS) is of_keys]
            totals = _totals(chosen, rivals, by_command if suite == "modern" else {})
            mark = share if suite == "modern" else f"{suite}_{share}"
            figures[f"{mark}_lists"] = totals["lists"]
            figures[f"{mark}_raw"] = totals["raw"]
            figures[f"{mark}_share"] = round(totals["ours"] / totals["raw"], 3)
            for rival in rivals:
                figures[f"{mark}_share_{rival}"] = round(totals[rival] / totals["raw"], 3)
                figures[f"{mark}_beside_{rival}"] = round(totals["ours"] / totals[rival], 3)
    figures["by_command"] = {
        name: {"lists": count["lists"], "raw": count["raw"], "share": round(count["ours"] / count["raw"], 3)}
        for name, count in sorted(by_command.items())
    }
    return figures


def _without_padding(objects: ObjectList) -> ObjectList:
    return [one for one in objects if one[2] != block.PADDING]


def _totals(
    said: Captured, rivals: dict[str, Callable[[bytes], int]], by_command: dict[str, Counter[str]]
) -> Counter[str]:
    totals: Counter[str] = Counter()
    for number, objects, network in said:
        objects = _without_padding(objects)
        raw = encode_objects(objects)
        ours = {"lists": 1, "raw": len(raw), "ours": len(shortest_form(objects, number, network))}
        for name, rival in rivals.items():
            ours[name] = min(len(raw), rival(raw))
        totals.update(ours)
        by_command.setdefault(NAMES[number], Counter()).update(ours)
    return totals


def _zstd(trained: list[bytes]) -> Callable[[bytes], int]:
    """The best of several dictionaries, in the form without magic number, sizes and checksum."""
    sample = trained[:: max(1, len(trained) // 2000)]
    best: tuple[int, Callable[[bytes], int]] | None = None
    for size in (2_048, 8_192, 32_768):
        dictionary = zstandard.train_dictionary(size, trained)
        parameters = zstandard.ZstdCompressionParameters.from_level(
            19, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=0, write_checksum=0, write_dict_id=0
        )
        compressor = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters)

        def rival(raw: bytes, compressor: zstandard.ZstdCompressor = compressor) -> int:
            return len(compressor.compress(raw))

        total = sum(min(len(raw), rival(raw)) for raw in sample)
        if best is None or total < best[0]:
            best = total, rival
    assert best is not None
    return best[1]


def _zlib(trained: list[bytes]) -> Callable[[bytes], int]:
    """Deflate without head, with the most frequent lists as its preset dictionary."""
    frequent = [raw for raw, _ in Counter(raw for raw in trained if len(raw) > 4).most_common(400)]
    dictionary = b"".join(reversed(frequent))[-32_768:]

    def rival(raw: bytes) -> int:
        packing = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, dictionary)
        return len(packing.compress(raw) + packing.flush())

    return rival


# --- times --------------------------------------------------------------------------------------------------------


def times(seed: int) -> dict[str, Any]:
    """Microseconds to write and to read a list: of a typical one (a user's record), and of the mean of all."""
    said = captured(seed)["modern"]
    typical = [one for one in said if NAMES[one[0]] == "Store"]
    mixed = [one for one in said if one[0] not in KEYS][:2000]
    figures = {}
    for name, lists in (("", typical), ("_mean", mixed)):
        packed = [(number, shortest_form(objects, number, network), network) for number, objects, network in lists]
        figures[f"encode{name}_us"] = _each(lambda lists=lists: _encode_all(lists), len(lists))  # type: ignore[misc]
        figures[f"decode{name}_us"] = _each(lambda packed=packed: _decode_all(packed), len(packed))  # type: ignore[misc]
    return figures


def _encode_all(lists: Captured) -> None:
    for number, objects, network in lists:
        shortest_form(objects, number, network)


def _decode_all(packed: list[tuple[int, bytes, bytes]]) -> None:
    for number, data, network in packed:
        decode_objects(Reader(data), number, 0, network)


def _each(work: Callable[[], object], count: int) -> float:
    """Microseconds for one of ``count``: the median of some rounds."""
    work()
    gc.disable()
    spent = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        spent.append(time.perf_counter() - began)
    gc.enable()
    return round(1e6 * statistics.median(spent) / count, 1)


# --- datagrams ----------------------------------------------------------------------------------------------------


def datagrams(name: str) -> dict[str, Any]:
    """Microseconds for one signalling message: said, sealed, covered; uncovered, opened, understood; and its answer."""
    suite = suite_named(name)
    here, there = _linked(suite)
    peer = Peer(1)
    messages = _messages()
    now = [1.0]

    def work() -> None:
        for message in messages:
            now[0] += 0.001
            here.send(peer, message, now[0])
            sent = here.flush(now[0])
            while sent:
                for item in sent:
                    if isinstance(item, Transmit):
                        there.receive(item.data, HERE, now[0])
                back = there.flush(now[0])
                for item in back:
                    if isinstance(item, Transmit):
                        here.receive(item.data, THERE, now[0])
                sent = here.flush(now[0])

    both = _each(work, len(messages))
    seal, sizes_of = AESGCM(bytes(32)), [128] * len(messages)

    def bare() -> None:
        for size in sizes_of:
            sealed = seal.encrypt(bytes(12), bytes(size), None)
            seal.decrypt(bytes(12), sealed, None)

    floor = _each(bare, len(messages))
    # Two datagrams passed: the message and its acknowledgement.
    return {
        f"datagram_{name}_us": round(both / 2, 1),
        f"message_{name}_us": both,
        f"datagram_{name}_beside_bare_aead": round(both / 2 / floor, 1),
    }


def _messages() -> list[Message]:
    rng = random.Random(1)
    out: list[Message] = []
    for _ in range(40):
        name = "".join(rng.choice("abcdefghij") for _ in range(8))
        out += [
            overlay.Ping(request=rng.getrandbits(16)),
            directory.Search(key=name.encode()[:8].ljust(8), ask_others=True, request=rng.getrandbits(16)),
            directory.Stored(copies=3, request=rng.getrandbits(16)),
            call.Invite(call=rng.randbytes(8)),
            call.Ringing(call=rng.randbytes(8)),
            path.RelayRequest(callee=rng.randbytes(8), request=rng.getrandbits(16)),
            overlay.Attached(
                node=rng.randbytes(8),
                observed=Address(rng.randbytes(4), 33_033),
                supernodes=tuple(Address(rng.randbytes(4), rng.getrandbits(16)) for _ in range(5)),
            ),
        ]
    return out


def _linked(suite: Suite) -> tuple[Endpoint, Endpoint]:
    """Two endpoints with a link between them, number 1 on the first."""
    ends = []
    for address in (HERE, THERE):
        rng = random.Random(str(address))
        notary = Notary(bytes(8), (), suite.network_identity.verify, suite.identity.verify, suite.digest)
        persona = Persona(suite, notary, suite.identity.make(rng), b"", rng)
        ends.append(Endpoint(persona, bytes(32), [address.host], 1.8e9))
    here, there = ends
    flying: list[tuple[Endpoint, bytes, Address]] = [
        (there, item.data, HERE) for item in here.link(Peer(1), Wire(THERE), 0.0) if isinstance(item, Transmit)
    ]
    while flying:
        end, data, source = flying.pop(0)
        other, back = (here, THERE) if end is there else (there, HERE)
        answers = [*end.receive(data, source, 0.0), *end.flush(0.0)]
        flying += [(other, item.data, back) for item in answers if isinstance(item, Transmit)]
    return here, there


def main() -> None:
    """Measure, and say how the figures stand to what was asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", default="101,102", help="of the traffic that is measured")
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    figures: dict[str, Any] = {"processors": os.cpu_count()}
    figures |= sizes(seeds) | times(seeds[0]) | datagrams("modern") | datagrams("classic")
    reached = {}
    for name, (sense, target) in TARGETS.items():
        reached[name] = figures[name] < target if sense == "<" else figures[name] <= target
    figures["reached"] = reached
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, row in figures.pop("by_command").items():
        print(f"  {name:16} {row['lists']:6} lists {row['raw']:9,} bytes raw, {row['share']:.3f} of it compressed")
    for name, value in figures.items():
        asked = ""
        if name in TARGETS:
            asked = f"  asked {TARGETS[name][0]} {TARGETS[name][1]}: {'reached' if reached[name] else 'NOT reached'}"
        print(f"{name:32} {value}{asked}")


if __name__ == "__main__":
    main()
