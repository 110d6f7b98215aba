"""The folder of one user: the network, the identity, the host cache, the port.

    network.toml            the description of the network joined
    identity/account.json   name, private key, credential                    mode 0600
    identity/audit.json     what audits of the own name have seen            mode 0600
    identity/known.json     whose key was seen when                          mode 0600
    identity/presence.json  what is shown to whom, and who is watched       mode 0600
    identity/profile.json   full name, city, e-mail, by what to be found     mode 0600
    hostcache               addresses of supernodes
    port                    the UDP and TCP port, chosen at first start
    served.json             as what it serves others, so that it does so again when it is started soon
    lending.json            what the owner lends to others, should they need a supernode

Every file is replaced whole, so that a crash leaves the old one; one that cannot be read is kept aside, not deleted.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from halloo.base.address import Address
from halloo.base.errors import HallooError, PeerError, Unusable, UsageError
from halloo.login.auditor import Memory
from halloo.messages.credential import Claims, credential_of
from halloo.messages.log import SignedHead
from halloo.node.buddies import KeptPresence
from halloo.node.descriptor import Descriptor, from_toml
from halloo.node.roles import Served
from halloo.overlay.hostcache import HostCache
from halloo.overlay.promotion import Consent, Lending
from halloo.runtime.acquaintances import Acquaintances
from halloo.runtime.presence import presence_text, read_presence
from halloo.runtime.profile import Profile

__all__ = ["Account", "Home", "NoNetwork", "NotLoggedIn", "memory_text", "read_memory", "replace_file"]


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
        """Remember a network.  An account of another network is kept aside, and so is a damaged description."""
        path = self.path / "network.toml"
        try:
            self.descriptor()
        except NoNetwork:
            pass
        except Unusable:
            _set_aside(path, "damaged")
        try:
            if self.account().claims.network != descriptor.id:
                _set_aside(self.account_path, "of-another-network")
        except NotLoggedIn:
            pass  # a damaged one may be of this network: it stays until somebody logs in
        replace_file(path, descriptor.to_toml().encode())

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
        except (OSError, ValueError, KeyError, TypeError, RecursionError, PeerError) as fault:
            raise NotLoggedIn(f"{self.account_path} is damaged ({fault}); log in again: halloo login NAME") from None
        return account

    def keep_account(self, account: Account) -> None:
        """Remember who is logged in; readable by the owner alone.  A damaged account in its place is kept aside."""
        try:
            self.account()
        except NotLoggedIn:
            self.put_account_aside()
        table = {
            "name": account.name,
            "private": base64.b64encode(account.private).decode(),
            "credential": base64.b64encode(account.credential).decode(),
        }
        self.account_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(self.account_path, json.dumps(table, indent=1).encode(), mode=0o600)

    def put_account_aside(self) -> None:
        """Give up an account that is damaged, where there is a file of it."""
        if os.path.lexists(self.account_path):
            _set_aside(self.account_path, "damaged")

    def forget_account(self) -> None:
        """Log out."""
        self.account_path.unlink(missing_ok=True)

    # --- what audits have seen

    @property
    def audit_path(self) -> Path:
        """Where the memory of audits is kept."""
        return self.path / "identity" / "audit.json"

    def memory(self) -> tuple[Memory, str]:
        """What audits of this account's name have seen, and a warning where it was damaged (it is kept aside then).

        It belongs to one name: of another one nothing is remembered.
        """
        path = self.audit_path
        try:
            return read_memory(path.read_text("utf-8"), self.account().name), ""
        except (FileNotFoundError, NotLoggedIn):
            return Memory(), ""
        except (UsageError, UnicodeDecodeError, OSError) as fault:
            kept = _set_aside(path, "damaged")
            return Memory(), f"the memory of audits was damaged ({fault}) and is kept as {kept}; a new one is begun"

    def keep_memory(self, name: str, memory: Memory) -> None:
        """Write what audits of a name have seen."""
        replace_file(self.audit_path, memory_text(memory, name).encode(), mode=0o600)

    def acquaintances(self) -> tuple[Acquaintances, str]:
        """Whom we have talked to, and a warning where the file was damaged (it is kept aside then)."""
        path = self.path / "identity" / "known.json"
        try:
            return Acquaintances.load(path.read_text("utf-8")), ""
        except FileNotFoundError:
            return Acquaintances(), ""
        except (UsageError, UnicodeDecodeError, OSError) as fault:
            kept = _set_aside(path, "damaged")
            words = f"the list of known keys was damaged ({fault}) and is kept as {kept}; a new one is begun"
            return Acquaintances(), words

    def keep_acquaintances(self, known: Acquaintances) -> None:
        """Write whom we have talked to, where that is not written yet."""
        if known.changed:
            replace_file(self.path / "identity" / "known.json", known.dump().encode(), mode=0o600)
            known.changed = False

    def profile(self) -> tuple[Profile, str]:
        """What the user tells of himself, and a warning where the file was damaged (it is kept aside then)."""
        path = self.path / "identity" / "profile.json"
        try:
            return Profile.load(path.read_text("utf-8")), ""
        except FileNotFoundError:
            return Profile(), ""
        except (UsageError, UnicodeDecodeError, OSError) as fault:
            kept = _set_aside(path, "damaged")
            nobody = Profile(findable=())  # what he did not want to tell is not told because a file was damaged
            words = f"the profile was damaged ({fault}) and is kept as {kept}; nothing is told until it is set anew"
            return nobody, words

    def keep_profile(self, profile: Profile) -> None:
        """Write what the user tells of himself."""
        replace_file(self.path / "identity" / "profile.json", json.dumps(profile.table()).encode(), mode=0o600)

    def presence(self) -> tuple[KeptPresence, str]:
        """What is shown to whom, and who is watched; and a warning where the file was damaged (it is kept aside then).

        It belongs to one name: of another one nothing is remembered.
        """
        path = self.path / "identity" / "presence.json"
        try:
            return read_presence(path.read_text("utf-8"), self.account().name), ""
        except (FileNotFoundError, NotLoggedIn):
            return KeptPresence(), ""
        except (UsageError, UnicodeDecodeError, OSError) as fault:
            kept = _set_aside(path, "damaged")
            words = f"the presence was damaged ({fault}) and is kept as {kept}; allow anew who may see yours"
            return KeptPresence(), words

    def keep_presence(self, name: str, kept: KeptPresence) -> None:
        """Write what is shown to whom, and who is watched."""
        text = presence_text(kept, name)
        replace_file(self.path / "identity" / "presence.json", text.encode(), mode=0o600)

    # --- host cache and port

    def host_cache(self, network: bytes = b"") -> tuple[HostCache, str]:
        """The host cache of a network, and a warning where it was damaged (it is kept aside then, and a new one begun).

        One of another network is of no use, and a new one is begun without a word.
        """
        path, warning = self.path / "hostcache", ""
        try:
            cache = HostCache.load(path.read_text("utf-8"))
        except FileNotFoundError:
            cache = HostCache()
        except (UsageError, UnicodeDecodeError, OSError) as fault:
            kept = _set_aside(path, "damaged")
            warning = f"the host cache was damaged ({fault}) and is kept as {kept}; a new one is begun"
            cache = HostCache()
        if network and cache.network not in (b"", network):
            cache = HostCache()
        cache.network = network or cache.network
        return cache, warning

    def keep_host_cache(self, cache: HostCache) -> None:
        """Write the host cache."""
        replace_file(self.path / "hostcache", cache.dump().encode())
        cache.changed = False

    def lending(self) -> tuple[Lending, str]:
        """What the owner lends to others, and a warning where the file was damaged (it is kept aside: nothing then)."""
        path = self.path / "lending.json"
        try:
            table = json.loads(path.read_text("utf-8"))
            clients, rate, cpu = int(table["clients"]), float(table["rate"]), float(table["cpu"])
            after = float(table["after"])
            if not (0 < clients <= 100_000 and 0 < rate < 1e12 and 0 < cpu <= 1 and 0 <= after <= 86_400):
                raise ValueError("a figure out of range")
            return Lending(Consent(table["consent"]), clients, rate, cpu, after), ""
        except FileNotFoundError:
            return Lending(), ""
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as fault:
            kept = _set_aside(path, "damaged")
            return Lending(), f"what is lent to others could not be read ({fault}): nothing; the file is kept as {kept}"

    def keep_lending(self, lending: Lending) -> None:
        """Remember what the owner lends."""
        table = {
            "consent": lending.consent.value,
            "clients": lending.clients,
            "rate": lending.rate,
            "cpu": lending.cpu,
            "after": lending.after,
        }
        replace_file(self.path / "lending.json", json.dumps(table, indent=1).encode())

    def served(self) -> Served | None:
        """As what the last node of this home served others; None where it did not, or nobody can say."""
        try:
            table = json.loads((self.path / "served.json").read_text("utf-8"))
            return Served(Address.parse(table["listening"]), int(table["since"]), int(table["until"]))
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError, HallooError):
            return None  # it is worth five minutes' trial, no more

    def keep_served(self, served: Served | None) -> None:
        """Remember as what the node serves; None: that it does not."""
        path = self.path / "served.json"
        if served is None:
            path.unlink(missing_ok=True)
            return
        table = {"listening": str(served.listening), "since": served.since, "until": served.until}
        replace_file(path, json.dumps(table).encode())

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


def memory_text(memory: Memory, name: str) -> str:
    """What audits of a name have seen, as the text of a file."""
    head = memory.head
    table = {
        "name": name,
        "known": [_text(key) for key in memory.known],
        "since": memory.since,
        "head": [_text(head.head), _text(head.signature)] if head else None,
        "seen": [memory.seen[0], _text(memory.seen[1])],
    }
    return json.dumps(table, indent=1)


def read_memory(text: str, name: str) -> Memory:
    """Read it back; of another name nothing is remembered.  Raises UsageError where it is damaged."""
    try:
        table = json.loads(text)
        if str.casefold(table["name"]) != name.casefold():  # raises where it is no text at all
            return Memory()
        head = table["head"]
        signed = SignedHead(head=_bytes(head[0]), signature=_bytes(head[1])) if head else None
        number, digest = table["seen"]
        return Memory(
            tuple(_bytes(key) for key in table["known"]), int(table["since"]), signed, (int(number), _bytes(digest))
        )
    except (ValueError, KeyError, IndexError, TypeError, OverflowError, RecursionError) as fault:
        raise UsageError(f"this is no memory of audits: {fault}") from None


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


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _set_aside(path: Path, why: str) -> Path:
    kept = path.with_name(f"{path.name}.{why}")
    number = 1
    while kept.exists():
        number += 1
        kept = path.with_name(f"{path.name}.{why}.{number}")
    try:
        path.rename(kept)
    except OSError as fault:
        raise Unusable(f"{path} is damaged and cannot be put aside: {fault.strerror}") from None
    return kept
