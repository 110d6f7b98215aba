"""Compressed lists for the second implementation: written from docs/protocol/compression.md alone."""

from __future__ import annotations

from typing import Any

ORDER = [4, 3, 5, 2, 6, 1, 0, 8, 7]
SIZES = {
    "head": 15, "step": 34, "number": None, "length": 17, "count": 12, "item": 65, "class": None, "letter": 64,
    "wide": 5, "host4": 10, "host6": 34,
}  # fmt: skip


class Broken(Exception):
    """Not what the text says."""


class Tables:
    """The published tables."""

    def __init__(self, table: dict[str, Any]) -> None:
        self.frequent = table["frequent"]
        self.classes = [bytes.fromhex(members) for members in table["classes"]]
        self.tables = table["tables"]
        self.sizes = SIZES | {"number": 115 + len(self.frequent), "class": len(self.classes)}

    def find(self, model: str, context: int, at: int) -> tuple[int, int, int]:
        """(choice, before, own)."""
        listed = self.tables[model].get(str(context)) or self.tables[model]["any"]
        listed = {int(choice): own for choice, own in listed.items()}
        missing = 4096 - sum(listed.get(choice, 1) for choice in range(self.sizes[model]))
        largest = max(sorted(listed), key=lambda choice: listed[choice])
        before = 0
        for choice in range(self.sizes[model]):
            own = listed.get(choice, 1) + (missing if choice == largest else 0)
            if at < before + own:
                return choice, before, own
            before += own
        raise Broken("beyond the table")


class Number:
    """The number, read choice by choice."""

    def __init__(self, data: bytes, tables: Tables) -> None:
        self.data = bytes([(data[0] - 0x15) % 256]) + data[1:]
        self.tables = tables
        self.read = 4
        self.code = self.window()
        self.size = 2**32

    def window(self) -> int:
        return int.from_bytes((self.data + bytes(8))[self.read - 4 : self.read], "big")

    def after(self) -> None:
        while self.size < 2**24:
            self.read += 1
            if self.read > len(self.data) + 8:
                raise Broken("far beyond the end")
            self.code = self.code * 256 + (self.data + bytes(8))[self.read - 1]
            self.size *= 256

    def choice(self, model: str, context: int) -> int:
        unit = self.size // 4096
        choice, before, own = self.tables.find(model, context, self.code // unit)
        self.code -= unit * before
        self.size = unit * own
        self.after()
        return choice

    def bits(self, count: int) -> int:
        unit = self.size // 2**count
        value = self.code // unit
        if value >= 2**count:
            raise Broken("too large")
        self.code -= unit * value
        self.size = unit
        self.after()
        return value

    def rest(self, bits: int) -> int:
        if not bits:
            return 0
        value, left = 1, bits - 1
        while left:
            piece = min(left, 16)
            value = value * 2**piece + self.bits(piece)
            left -= piece
        return value

    def end(self) -> int:
        low = (self.window() - self.code) % 2**32
        count, number = 4, low
        for fewer in range(4):
            unit = 2 ** (32 - 8 * fewer)
            rounded = (low + unit - 1) // unit * unit
            if rounded + unit <= low + self.size:
                count, number = fewer, rounded
                break
        start = self.read - 4
        if self.data[start : start + count] != (number % 2**32).to_bytes(4, "big")[:count]:
            raise Broken("not the shortest")
        return start + count


class List:
    """One compressed list."""

    def __init__(self, data: bytes, subject: int, tables: Tables, network: bytes = b"") -> None:
        self.number = Number(data, tables)
        self.tables = tables
        self.before = 0
        plan = self.plan(2**20 + subject)
        self.data, self.at = data, self.number.end()
        self.wides: list[bytes] = [network] if network else []
        self.addresses = {2: (bytes(4), 0), 7: (bytes(16), 0)}
        self.objects = [self.built(*each) for each in plan]

    def plan(self, parent: int) -> list[tuple[int, int, Any]]:
        out = []
        order, key, here = list(ORDER), 0, parent * 2**20 + 0xF0000
        while head := self.number.choice("head", here):
            if head <= 5:
                step = head - 1
            else:
                if head >= 7:
                    order.insert(0, order.pop(head - 6))
                coded = self.number.choice("step", here)
                step = self.number.rest(coded // 2) * (-1 if coded % 2 else 1)
            key += step
            here = parent * 2**20 + order[0] * 2**16 + key
            out.append((order[0], key, self.value(order[0], parent * 2**16 + key, key)))
        return out

    def value(self, kind: int, context: int, key: int) -> Any:
        number = self.number
        if kind == 0:
            coded = number.choice("number", context)
            if coded < 65:
                value = number.rest(coded)
            elif coded < 115:
                value = self.before + number.rest((coded - 65) // 2) * (-1 if (coded - 65) % 2 else 1)
            else:
                value = self.before + self.tables.frequent[coded - 115]
            if value >= 2**20:
                self.before = value
            return value
        if kind == 3:
            text, last = b"\0", 0
            while last := number.choice("class", last):
                context = text[-1] * 256 + last
                context = context if str(context) in self.tables.tables["letter"] else last
                text += self.tables.classes[last][number.choice("letter", context) :][:1]
            return text[1:].decode()
        if kind == 6:
            count = number.rest(number.choice("count", context))
            return [number.rest(number.choice("item", context)) for _ in range(count)]
        if kind in (5, 8):
            return self.plan(key + 1)
        if kind == 4:
            return number.rest(number.choice("length", context))
        return number.choice({1: "wide", 2: "host4", 7: "host6"}[kind], context)

    def take(self, size: int) -> bytes:
        self.at += size
        if self.at > len(self.data):
            raise Broken("too short")
        return self.data[self.at - size : self.at]

    def built(self, kind: int, key: int, said: Any) -> tuple[int, int, Any]:
        if kind == 5:
            return 5, key, [self.built(*each) for each in said]
        if kind == 8:
            return 4, key, raw([self.built(*each) for each in said])
        if kind == 4:
            return 4, key, self.take(said)
        if kind == 1:
            wide = self.wides[said - 1] if said else self.take(8)
            if not said:
                self.wides = [wide, *self.wides][:4]
            return 1, key, wide
        if kind in (2, 7):
            host, port = self.addresses[kind]
            host = host[: said // 2] + self.take(len(host) - said // 2)
            port = port if said % 2 else int.from_bytes(self.take(2), "big")
            self.addresses[kind] = host, port
            return kind, key, (host, port)
        return kind, key, said


def raw(objects: list[tuple[int, int, Any]]) -> bytes:
    """The raw form of a list."""
    out = b"\x41" + varint(len(objects))
    for kind, key, value in objects:
        out += bytes([kind]) + varint(key)
        if kind == 0:
            out += varint(value)
        elif kind == 1:
            out += value
        elif kind in (2, 7):
            out += value[0] + value[1].to_bytes(2, "big")
        elif kind == 3:
            out += value.encode() + b"\0"
        elif kind == 4:
            out += varint(len(value)) + value
        elif kind == 5:
            out += raw(value)
        else:
            out += varint(len(value)) + b"".join(varint(each) for each in value)
    return out


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value % 128 + 128])
        value //= 128
    return out + bytes([value])
