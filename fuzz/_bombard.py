"""A process that throws datagrams and TCP streams at addresses of this machine: one JSON order in, one JSON line out.

    order = {"at": [[host, port], …], "kept": path, "seed": n, "rate": per second, "random": n, "mutated": n,
             "replayed": n, "streams": n, "seconds": at most}

The datagrams come from many sockets, each on a loopback address of its own.  ``kept`` holds what really passed between
nodes, one after the other, each behind its length in two bytes.  Rate 0: as fast as this process can.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from fuzz._bytes import damaged

SOCKETS = 64
GREETING = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"  # how a TLS connection begins
BATCH = 32  # datagrams between two looks at the clock
READY = 2_000  # mutated datagrams made before, of which each batch takes some: making one costs more than sending it


def kept_in(path: Path) -> list[bytes]:
    """The recorded datagrams."""
    data, out, at = path.read_bytes(), [], 0
    while at + 2 <= len(data):
        size = int.from_bytes(data[at : at + 2], "big")
        out.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return out


def bombard(order: dict[str, Any]) -> dict[str, Any]:
    """Carry out an order; what was sent, and how long it took."""
    rng = Random(order["seed"])
    kept = kept_in(Path(order["kept"])) or [bytes(20)]
    targets = [(host, port) for host, port in order["at"]]
    sockets = [_socket(rng) for _ in range(SOCKETS)]
    noise = rng.randbytes(1 << 16)
    left: Counter[str] = Counter({sort: order.get(sort, 0) for sort in ("random", "mutated", "replayed")})
    total = sum(left.values())
    sent: Counter[str] = Counter()
    streams, rate = order.get("streams", 0), order["rate"]
    began = time.monotonic()
    end = began + order.get("seconds", 3600)
    ready: list[bytes] = []
    while left.total() and time.monotonic() < end:
        if not ready or rng.random() < 0.02:
            ready = [damaged(rng, rng.choice(kept), rng.choice(kept)) for _ in range(READY)]
        for _ in range(min(BATCH, left.total())):
            sort = rng.choice([name for name, count in left.items() if count])
            if sort == "random":
                at = rng.randrange(len(noise) - 1500)
                data = noise[at : at + rng.choice((rng.randrange(60), rng.randrange(1500)))]
            elif sort == "mutated":
                data = rng.choice(ready)
            else:
                data = rng.choice(kept)
            try:
                rng.choice(sockets).sendto(data, rng.choice(targets))
                sent[sort] += 1
                left[sort] -= 1
            except OSError:
                sent["not taken"] += 1
        if streams * (1 - left.total() / max(1, total)) > sent["streams"]:
            sent["streams"] += _stream(rng, targets, kept)
        if rate:
            time.sleep(max(0.0, began + (total - left.total()) / rate - time.monotonic()))
    for one in sockets:
        one.close()
    return {"sent": dict(sent), "seconds": round(time.monotonic() - began, 2)}


def _socket(rng: Random) -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setblocking(False)
    one.bind((f"127.{rng.randrange(1, 250)}.{rng.randrange(250)}.{rng.randrange(1, 250)}", 0))
    return one


def _stream(rng: Random, targets: list[tuple[str, int]], kept: list[bytes]) -> int:
    """A TCP connection with bytes that nobody expects."""
    try:
        with socket.create_connection(rng.choice(targets), timeout=2.0) as connection:
            if rng.random() < 0.3:
                connection.sendall(GREETING + rng.randbytes(rng.randrange(600)))
            for _ in range(rng.randrange(1, 4)):
                connection.sendall(damaged(rng, rng.choice(kept), rng.choice(kept)))
    except OSError:
        pass
    return 1


if __name__ == "__main__":
    print(json.dumps(bombard(json.load(sys.stdin))))
