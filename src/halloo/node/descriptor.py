"""The public description of a network: what a program must have to join it.

Made once by ``create``, signed with the network's root key, passed on as a file (TOML) or a link.  The list of login
servers is obfuscated in it, as the article has it; that hides them from a casual reader and from nobody else.
"""

from __future__ import annotations

import base64
import binascii
import tomllib
from dataclasses import dataclass, replace
from random import Random

from halloo.base.address import Address
from halloo.base.errors import Malformed, Refused, UsageError
from halloo.messages.credential import Notary
from halloo.node.profile import Profile, profile_named
from halloo.wire.command import Shape, addresses, blob, decode_shape, encode_shape, number, shape, text

__all__ = ["Descriptor", "Secrets", "create", "from_link", "from_toml"]

LINK = "halloo:"
MAX_FILE = 16_384  # bytes: a descriptor is some 3 kB, and under 12 kB with every field at its bound
_SIGNED = b"halloo network\n"
_OBFUSCATION = "halloo login servers"


@shape
class _Addresses(Shape):
    addresses: tuple[Address, ...] = addresses(0x01, most=32, default=())


@shape
class Descriptor(Shape):
    """One network.  Keys are those of the profile's suite; ``issued`` in wall-clock seconds."""

    name: str = text(0x01, most=64)
    profile: str = text(0x02, most=16)
    root_key: bytes = blob(0x03, least=1, most=512)
    login_key: bytes = blob(0x04, least=1, most=512)
    letter_key: bytes = blob(0x05, least=1, most=2048)
    cloak_key: bytes = blob(0x06, least=16, most=64)
    login_servers: bytes = blob(0x07, most=1024)
    """Obfuscated; see ``servers``."""
    supernodes: tuple[Address, ...] = addresses(0x08, most=64, default=())
    issued: int = number(0x09, most=1 << 40)
    signature: bytes = blob(0x0A, most=512, default=b"")

    @property
    def ways(self) -> Profile:
        """The profile.  Raises UsageError when it is unknown here."""
        return profile_named(self.profile)

    @property
    def id(self) -> bytes:
        """Eight bytes that name the network in credentials."""
        return self.ways.suite.digest(self.root_key)[:8]

    @property
    def fingerprint(self) -> str:
        """What two people can compare: the digest of the root key, in groups."""
        return grouped(self.ways.suite.digest(self.root_key)[:16])

    @property
    def servers(self) -> tuple[Address, ...]:
        """Where its login servers listen."""
        try:
            return decode_shape(_Addresses, _obfuscate(self, self.login_servers)).addresses
        except Malformed as fault:
            raise UsageError(f"the network's list of login servers cannot be read: {fault}") from None

    @property
    def notary(self) -> Notary:
        """Who checks this network's credentials."""
        suite = self.ways.suite
        return Notary(self.id, (self.login_key,), suite.network_identity.verify, suite.identity.verify, suite.digest)

    def check(self) -> Descriptor:
        """Itself, if its signature holds.  Raises UsageError."""
        suite = self.ways.suite
        body = encode_shape(replace(self, signature=b""))
        if not suite.network_identity.verify(self.root_key, self.signature, _SIGNED + body):
            raise UsageError("the network's description was altered: its signature does not hold")
        return self

    def to_toml(self) -> str:
        """The descriptor as a file."""
        supernodes = ", ".join(f'"{address}"' for address in self.supernodes)
        return (
            "# The description of a Halloo network.  It is public: pass it on to whoever shall join.\n"
            f'name = "{_quoted(self.name)}"\n'
            f'profile = "{self.profile}"\n'
            f'fingerprint = "{self.fingerprint}"\n'
            f"issued = {self.issued}\n"
            f"supernodes = [{supernodes}]\n"
            f'login_servers = "{_text(self.login_servers)}"\n'
            f'root_key = "{_text(self.root_key)}"\n'
            f'login_key = "{_text(self.login_key)}"\n'
            f'letter_key = "{_text(self.letter_key)}"\n'
            f'cloak_key = "{_text(self.cloak_key)}"\n'
            f'signature = "{_text(self.signature)}"\n'
        )

    def to_link(self) -> str:
        """The descriptor as one line to paste or scan."""
        return LINK + base64.urlsafe_b64encode(encode_shape(self)).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Secrets:
    """The private keys of a network, for its login servers; the root key only signs descriptors."""

    root: bytes
    login: bytes
    letter: bytes


def create(
    name: str, profile: str, servers: tuple[Address, ...], supernodes: tuple[Address, ...], wall: float, rng: Random
) -> tuple[Descriptor, Secrets]:
    """A new network.  Raises UsageError."""
    if not name.strip() or len(name) > 64 or any(ord(letter) < 32 for letter in name):
        raise UsageError("a network's name has 1 to 64 printable characters")
    suite = profile_named(profile).suite
    secrets = Secrets(
        suite.network_identity.make(rng), suite.network_identity.make(rng), suite.network_envelope.make(rng, b"")
    )
    bare = Descriptor(
        name=name,
        profile=profile,
        root_key=suite.network_identity.public(secrets.root),
        login_key=suite.network_identity.public(secrets.login),
        letter_key=suite.network_envelope.public(secrets.letter),
        cloak_key=rng.randbytes(32),
        login_servers=b"",
        supernodes=supernodes,
        issued=int(wall),
    )
    return _signed(bare, servers, secrets), secrets


def _signed(bare: Descriptor, servers: tuple[Address, ...], secrets: Secrets) -> Descriptor:
    listed = replace(
        bare, login_servers=_obfuscate(bare, encode_shape(_Addresses(addresses=servers))), signature=b""
    )
    signature = bare.ways.suite.network_identity.sign(secrets.root, _SIGNED + encode_shape(listed))
    return replace(listed, signature=signature)


def from_link(text_form: str) -> Descriptor:
    """Read a join link.

    Raises:
        UsageError: it is none, was cut short, or was altered.
    """
    body = text_form.strip().removeprefix(LINK)
    try:
        data = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        return decode_shape(Descriptor, data).check()
    except (binascii.Error, Malformed, Refused, ValueError):
        raise UsageError("this is no join link of a Halloo network, or it was cut short") from None


def from_toml(content: str) -> Descriptor:
    """Read a descriptor file.

    Raises:
        UsageError: it is none, lacks something, or was altered.
    """
    try:
        table = tomllib.loads(content[:MAX_FILE])
        return Descriptor(
            name=str(table["name"]),
            profile=str(table["profile"]),
            root_key=_bytes(table["root_key"]),
            login_key=_bytes(table["login_key"]),
            letter_key=_bytes(table["letter_key"]),
            cloak_key=_bytes(table["cloak_key"]),
            login_servers=_bytes(table["login_servers"]),
            supernodes=tuple(Address.parse(str(address)) for address in table["supernodes"]),
            issued=int(table["issued"]),
            signature=_bytes(table["signature"]),
        ).check()
    except KeyError as missing:
        raise UsageError(f"the network's description lacks {missing}") from None
    except (tomllib.TOMLDecodeError, TypeError, ValueError, OverflowError, RecursionError) as fault:
        raise UsageError(f"this is no description of a Halloo network: {fault}") from None


def grouped(digest: bytes) -> str:
    """Bytes as hexadecimal groups that a person can read out."""
    digits = digest.hex()
    return " ".join(digits[i : i + 4] for i in range(0, len(digits), 4))


def _obfuscate(descriptor: Descriptor, data: bytes) -> bytes:
    """XOR with bytes from the cloak key; its own reverse."""
    stream = descriptor.ways.suite.digest.derive(descriptor.cloak_key, _OBFUSCATION, b"", max(1, len(data)))
    return bytes(a ^ b for a, b in zip(data, stream, strict=False))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(value: object) -> bytes:
    return base64.b64decode(str(value), validate=True)


def _quoted(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')
