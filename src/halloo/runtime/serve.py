"""Start a login server: a station with another mind, on one or several ports."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

from halloo.base.address import Address
from halloo.base.errors import HallooError, Unusable, UsageError
from halloo.base.machine import Event
from halloo.link.endpoint import Endpoint
from halloo.link.persona import Persona
from halloo.login.accounts import Accounts
from halloo.login.limits import Limits
from halloo.login.server import LoginServer
from halloo.node.descriptor import Descriptor, Secrets, from_toml
from halloo.node.login_mind import LoginMind
from halloo.node.station import Station
from halloo.runtime.home import replace_file
from halloo.runtime.keylog import key_log
from halloo.runtime.loop import Driver, wall_offset
from halloo.runtime.tcp import Connector, Wrapping

__all__ = ["NetworkFolder", "start_login_server"]

_KEYS = ("root", "login", "letter")


@dataclass(frozen=True, slots=True)
class NetworkFolder:
    """The operator's folder of a network: ``network.toml``, and ``secret/`` for the keys."""

    path: Path

    @property
    def descriptor_path(self) -> Path:
        """The public description."""
        return self.path / "network.toml"

    def write(self, descriptor: Descriptor, secrets: Secrets) -> None:
        """Keep a new network.

        Raises:
            Unusable: there is one already, or the folder cannot be written.
        """
        if self.descriptor_path.exists() or (self.path / "secret").exists():
            raise Unusable(f"there is a network in {self.path} already; choose another folder")
        try:
            (self.path / "secret").mkdir(parents=True, mode=0o700)
        except OSError as fault:
            raise Unusable(f"cannot make {self.path / 'secret'}: {fault.strerror}") from None
        for name in _KEYS:
            replace_file(self.path / "secret" / f"{name}.key", getattr(secrets, name), mode=0o600)
        replace_file(self.descriptor_path, descriptor.to_toml().encode())

    def descriptor(self) -> Descriptor:
        """Read the description.  Raises Unusable."""
        try:
            return from_toml(self.descriptor_path.read_text("utf-8"))
        except FileNotFoundError:
            raise Unusable(f"there is no network in {self.path}; make one: halloo network create") from None
        except (OSError, UnicodeDecodeError, HallooError) as fault:
            raise Unusable(f"{self.descriptor_path}: {fault}") from None

    def secrets(self) -> Secrets:
        """Read the private keys.  Raises Unusable."""
        try:
            return Secrets(*((self.path / "secret" / f"{name}.key").read_bytes() for name in _KEYS))
        except OSError as fault:
            raise Unusable(f"the network's keys cannot be read: {fault}") from None

    def default_database(self) -> str:
        """A SQLite file in the folder."""
        return f"sqlite:///{os.path.abspath(self.path / 'accounts.sqlite')}"


async def start_login_server(
    folder: NetworkFolder,
    accounts: Accounts,
    listen: tuple[Address, ...],
    on_event: Callable[[Event], None],
    limits: Limits | None = None,
) -> tuple[Driver, list[Address]]:
    """A running login server, and where it listens.

    Raises:
        Unusable: no keys, the wrong keys, or an address in use.
    """
    descriptor, secrets, rng, wall = folder.descriptor(), folder.secrets(), SystemRandom(), wall_offset()
    suite = descriptor.ways.suite
    try:
        fits = suite.network_identity.public(secrets.login) == descriptor.login_key
        fits = fits and suite.network_envelope.public(secrets.letter) == descriptor.letter_key
    except UsageError:
        fits = False
    if not fits:
        raise Unusable(f"the keys in {folder.path / 'secret'} are damaged, or not those of this network")
    server = LoginServer(
        suite, descriptor.id, secrets.login, secrets.letter, accounts, rng, wall, limits or Limits()
    )
    persona = Persona(suite, descriptor.notary, suite.identity.make(rng), b"", rng, key_log())
    endpoint = Endpoint(persona, descriptor.cloak_key, (address.host for address in listen), wall)
    connector = Connector(Wrapping() if suite.wrapped else None)
    driver = Driver(Station(endpoint, LoginMind(server)), on_event, connector)
    return driver, [await driver.listen(address) for address in listen]
