"""``halloo decode``: explain bytes of our own traffic, or a capture of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import click

from halloo.base.address import Address
from halloo.base.errors import HallooError, Unusable, UsageError
from halloo.cli.network import read_descriptor
from halloo.cli.speak import Context, Exit
from halloo.crypto.suites import suite_named
from halloo.decode.capture import is_capture, read_capture
from halloo.decode.datagrams import Frames
from halloo.decode.keys import Keys
from halloo.decode.single import FORMS, explain
from halloo.decode.traffic import Explained, Tally, explain_capture
from halloo.decode.tree import table, words
from halloo.link.keys import LinkKeys

__all__ = ["decode"]

NOWHERE = "0.0.0.0:0"
MAX_TEXT = 1 << 18  # bytes of a file that is no capture: digits, or a long stretch of a stream
MAX_KEYS = 1 << 25  # bytes of a key file: a hundred thousand lines


@click.command()
@click.argument("source", metavar="HEX|FILE")
@click.option("--network", "network", metavar="FILE|LINK", help="the network's description (modern needs it)")
@click.option(
    "--keys",
    "keys",
    type=click.Path(path_type=Path),
    multiple=True,
    help="a key log (HALLOO_KEY_LOG), or the folder of a network for what is said at login",
)
@click.option("--from", "sender", default=NOWHERE, metavar="ADDR:PORT", help="who sent the bytes")
@click.option("--to", "receiver", default=NOWHERE, metavar="ADDR:PORT", help="and to whom")
@click.option("--as", "form", type=click.Choice(FORMS), default="guess", show_default=True, help="what the bytes are")
@click.option("--json", "as_json", is_flag=True, help="one object; for a capture one a line")
@click.pass_obj
def decode(
    context: Context,
    source: str,
    network: str | None,
    keys: tuple[Path, ...],
    sender: str,
    receiver: str,
    form: str,
    as_json: bool,
) -> None:
    """Explain bytes of our own traffic: hexadecimal digits, or a file (pcap, pcapng, digits, bytes)."""
    frames = _frames(context, network, _keys(keys))
    path = Path(source)
    if not _is_file(path):
        _alone(context, _hexadecimal(source), frames, (sender, receiver), form, as_json=as_json)
        return
    try:
        with path.open("rb") as file:
            if is_capture(file.read(4)):
                file.seek(0)
                _capture(context, file, frames, as_json=as_json)
                return
            file.seek(0)
            content = file.read(MAX_TEXT + 1)
    except OSError as fault:
        raise Unusable(f"{source}: {fault.strerror}") from None
    if len(content) > MAX_TEXT:
        raise UsageError(f"{source} is no capture, and too long to stand alone")
    _alone(context, _digits_or_bytes(content), frames, (sender, receiver), form, as_json=as_json)


def _frames(context: Context, network: str | None, keys: Keys) -> Frames:
    """Who explains frames: of the network that was named, or of any classic one."""
    if network is not None:
        descriptor = read_descriptor(network)
        return Frames(descriptor.ways.suite, descriptor.cloak_key, keys, descriptor.id)
    try:
        return Frames(suite_named("classic"), b"", keys)
    except UsageError as fault:  # its package is missing; commands without a cloak need none
        context.progress(f"Warning: datagrams and streams are not explained without --network: {fault}")
        return Frames(suite_named("modern"), b"", keys)


def _alone(
    context: Context, data: bytes, frames: Frames, ends: tuple[str, str], form: str, *, as_json: bool
) -> None:
    """Explain bytes that stand alone; the exit code says whether a node would take them."""
    part = explain(data, frames, Address.parse(ends[0]), Address.parse(ends[1]), form)
    context.result({"ok": not part.faults, **table(part)}, "\n".join(words(part)), as_json=as_json)
    if part.faults:
        _failed(part.faults[0])


def _capture(context: Context, file: BinaryIO, frames: Frames, *, as_json: bool) -> None:
    """Explain a capture, packet after packet."""
    tally = Tally()
    began = None
    for found in explain_capture(read_capture(file), frames, tally):
        began = found.time if began is None else began
        context.result(*_packet(found, found.time - began), as_json=as_json)
    fault = tally.damaged or tally.first_fault
    if not tally.explained and not fault:
        fault = "nothing in the capture is of this network"
        if frames.suite.name == "classic":
            fault += "; for a modern one give its description with --network"
    summary: dict[str, Any] = {
        "event": "summary",
        "ok": not fault,
        "packets": tally.packets,
        "explained": tally.explained,
        "foreign": tally.foreign,
        "faults": tally.faults,
        "remarks": tally.remarks,
        "fault": fault,
    }
    counted = f"{tally.explained} explained, {tally.foreign} foreign, {tally.faults} with faults"
    context.result(summary, "\n".join([f"{tally.packets} packets: {counted}", *tally.remarks]), as_json=as_json)
    if fault:
        _failed(fault)


def _packet(found: Explained, after: float) -> tuple[dict[str, Any], str]:
    """One packet, for programs and for people."""
    source, destination = str(found.source), str(found.destination)
    head = {"event": "packet", "number": found.number, "time": found.time, "after": round(after, 6), "way": found.way}
    lines = [f"#{found.number}  {after:.6f} s  {found.way} {source} -> {destination}", *words(found.part), ""]
    return {**head, "from": source, "to": destination, "part": table(found.part)}, "\n".join(lines)


def _failed(fault: str) -> None:
    click.echo(f"halloo: {fault}", err=True)
    raise SystemExit(Exit.FAILED)


def _keys(paths: tuple[Path, ...]) -> Keys:
    """All keys that were given.  Raises UsageError or Unusable."""
    links: list[LinkKeys] = []
    letter = b""
    for path in paths:
        file = path / "secret" / "letter.key" if path.is_dir() else path
        try:
            with file.open("rb") as source:
                content = source.read(MAX_KEYS + 1)
        except OSError as fault:
            raise Unusable(f"the keys {file} cannot be read: {fault.strerror}") from None
        if path.is_dir():
            letter = content
        elif len(content) > MAX_KEYS:
            raise UsageError(f"{path} is longer than any key log")
        else:
            try:
                links += [keys for known in Keys.read(content.decode("ascii")).links.values() for keys in known]
            except UnicodeDecodeError:
                raise UsageError(f"{path} is no key log") from None
            except HallooError as fault:
                raise UsageError(f"{path}: {fault}") from None
    return Keys(links, letter)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # digits that are too long for a file's name
        return False


def _digits_or_bytes(content: bytes) -> bytes:
    """What a file without packets holds."""
    try:
        return _hexadecimal(content.decode("ascii"))
    except (UnicodeDecodeError, UsageError):
        if not content:
            raise UsageError("the file is empty") from None
        return content


def _hexadecimal(text: str) -> bytes:
    """Bytes from digits as people paste them.  Raises UsageError."""
    digits = "".join(text.replace("0x", " ").replace(":", " ").replace(",", " ").split())
    try:
        data = bytes.fromhex(digits)
    except ValueError:
        raise UsageError(f"{text[:40]!r} is neither hexadecimal digits nor a file") from None
    if not data:
        raise UsageError("there are no bytes to explain")
    return data
