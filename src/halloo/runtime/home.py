"""The folder of one user: the network, the identity, the host cache, the port.

    network.toml            the description of the network joined
    identity/account.json   name, private key, credential                    mode 0600
    hostcache               addresses of supernodes
    port                    the UDP and TCP port, chosen at first start

Every file is replaced whole, so that a crash leaves the old one; one that cannot be read is kept aside, not deleted.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from halloo.base.errors import HallooError, PeerError, Unusable, UsageError
from halloo.messages.credential import Claims, credential_of
from halloo.node.descriptor import Descriptor, from_toml
from halloo.overlay.hostcache import HostCache

__all__ = ["Account", "Home", "NoNetwork", "NotLoggedIn", "replace_file"]


class NoNetwork(HallooError):
    """This home has not joined a network yet."""


class NotLoggedIn(HallooError):
    """Nobody is logged in here, or the credential is of no more use."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who is logged in: name, private key, and the network's credential for it."""

    name: str
    private: bytes
    credential: bytes

    @property
    def claims(self) -> Claims:
        """What the credential says."""
        return credential_of(self.credential)


class Home:
    """Everything of one user, under one folder."""

    def __init__(self, path: Path | None = None) -> None:
        chosen = path or (Path(os.environ["HALLOO_HOME"]) if os.environ.get("HALLOO_HOME") else None)
        self.path = chosen or Path(platformdirs.user_data_dir("halloo"))

    # --- the network

    def descriptor(self) -> Descriptor:
        """The network joined.

        Raises:
            NoNetwork: none yet.
            Unusable: the description is damaged.
        """
        path = self.path / "network.toml"
        try:
            content = path.read_text("utf-8")
        except FileNotFoundError:
            raise NoNetwork(f"no network was joined in {self.path}; start with: halloo join LINK") from None
        except (OSError, UnicodeDecodeError) as fault:
            raise Unusable(f"{path} cannot be read: {fault}") from None
        try:
            return from_toml(content)
        except UsageError as fault:
            raise Unusable(f"{path}: {fault}") from None

    def join(self, descriptor: Descriptor) -> None:
        """Remember a network.  An account of another network is kept aside."""
        old = self.path / "network.toml"
        if old.exists() and self.account_path.exists():
            try:
                same = self.descriptor().id == descriptor.id
            except Unusable:
                same = False
            if not same:
                _set_aside(self.account_path, "of-another-network")
        replace_file(old, descriptor.to_toml().encode())

    # --- the account

    @property
    def account_path(self) -> Path:
        """Where the account is kept."""
        return self.path / "identity" / "account.json"

    def account(self) -> Account:
        """Who is logged in.

        Raises:
            NotLoggedIn: nobody, or the file is damaged.
        """
        try:
            table = json.loads(self.account_path.read_text("utf-8"))
            account = Account(
                str(table["name"]),
                base64.b64decode(table["private"], validate=True),
                base64.b64decode(table["credential"], validate=True),
            )
            _ = account.claims
        except FileNotFoundError:
            raise NotLoggedIn("nobody is logged in here; use: halloo signup NAME, or halloo login NAME") from None
        except (OSError, ValueError, KeyError, TypeError, RecursionError, binascii.Error, PeerError) as fault:
            raise NotLoggedIn(f"{self.account_path} is damaged ({fault}); log in again: halloo login NAME") from None
        return account

    def keep_account(self, account: Account) -> None:
        """Remember who is logged in; readable by the owner alone."""
        table = {
            "name": account.name,
            "private": base64.b64encode(account.private).decode(),
            "credential": base64.b64encode(account.credential).decode(),
        }
        self.account_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(self.account_path, json.dumps(table, indent=1).encode(), mode=0o600)

    def forget_account(self) -> None:
        """Log out."""
        self.account_path.unlink(missing_ok=True)

    # --- host cache and port

    def host_cache(self) -> tuple[HostCache, str]:
        """The host cache, and a warning where it was damaged (it is kept aside then, and a new one begun)."""
        path = self.path / "hostcache"
        try:
            return HostCache.load(path.read_text("utf-8")), ""
        except FileNotFoundError:
            return HostCache(), ""
        except (UsageError, UnicodeDecodeError, OSError) as fault:
            kept = _set_aside(path, "damaged")
            return HostCache(), f"the host cache was damaged ({fault}) and is kept as {kept}; a new one is begun"

    def keep_host_cache(self, cache: HostCache) -> None:
        """Write the host cache."""
        replace_file(self.path / "hostcache", cache.dump().encode())

    def port(self) -> int:
        """The port kept from the first start; 0 while there is none."""
        try:
            port = int((self.path / "port").read_text("ascii"))
        except (OSError, ValueError):
            return 0
        return port if 0 < port < 65_536 else 0

    def keep_port(self, port: int) -> None:
        """Remember the port."""
        replace_file(self.path / "port", f"{port}\n".encode())


def replace_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file whole: beside it first, then in its place.

    Raises:
        Unusable: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            os.chmod(beside, mode)
            os.replace(beside, path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
    except OSError as fault:
        raise Unusable(f"cannot write {path}: {fault.strerror or fault}") from None


def _set_aside(path: Path, why: str) -> Path:
    kept = path.with_name(f"{path.name}.{why}")
    number = 1
    while kept.exists():
        number += 1
        kept = path.with_name(f"{path.name}.{why}.{number}")
    path.rename(kept)
    return kept
