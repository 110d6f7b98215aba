"""A phone for the time of one command: opened, on line, and closed again, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from halloo.api.socket import ControlClient
from halloo.base.address import Address
from halloo.base.errors import Unusable, UsageError
from halloo.cli.speak import Context
from halloo.messages.login import Purpose
from halloo.node.buddies import KeptPresence
from halloo.node.descriptor import Descriptor
from halloo.overlay.hostcache import HostCache
from halloo.overlay.join import Joined
from halloo.overlay.promotion import Lending
from halloo.runtime.errands import holds_its_key
from halloo.runtime.home import Account, Home, NotLoggedIn
from halloo.runtime.phone import Phone
from halloo.runtime.tcp import proxy_of

__all__ = ["kept_cache", "online_phone", "open_phone", "read_cache", "running_node", "use_proxy"]

CACHE_EVERY = 300.0  # seconds between two times that the host cache is written: a crash forgets no more
ANYWHERE = Address.parse("0.0.0.0:0")


@asynccontextmanager
async def open_phone(
    context: Context, *, account: bool = True, listen: Address | None = None, lending: Lending | None = None
) -> AsyncIterator[Phone]:
    """A phone that is open but not on line yet.  Keeps the port and the host cache for the next time."""
    home = context.home
    descriptor = home.descriptor()
    cache = read_cache(context, descriptor)
    logged_in = await _in_date(context, descriptor, cache) if account else None
    async with Phone(descriptor, logged_in, cache) as phone:
        if logged_in is not None:
            phone.on_account = lambda renewed: _keep_renewed(home, renewed)
            phone.memory, warning = home.memory()
            phone.acquaintances, other = home.acquaintances()
            phone.profile, third = home.profile()
            phone.presence, fourth = home.presence()
            phone.on_presence = lambda kept: _keep_presence(home, logged_in.name, kept)
            for words in filter(None, (warning, other, third, fourth)):
                context.progress(f"Warning: {words}")
            phone.on_learnt = lambda: _keep(home, phone)
        if lending is not None:
            phone.lending = lending
            phone.served, phone.on_service = home.served(), home.keep_served
        use_proxy(context, phone)
        phone.lan = context.lan
        kept = home.port()
        try:
            address = await phone.open(listen or Address(ANYWHERE.host, kept))
        except Unusable:
            if listen is not None or not kept:
                raise
            address = await phone.open(ANYWHERE)  # our port is taken by somebody else for the moment
        if listen is None and not kept:
            home.keep_port(address.port)
        try:
            async with kept_cache(context, cache):
                yield phone
        finally:
            if logged_in is not None:
                _keep(home, phone)


def read_cache(context: Context, descriptor: Descriptor) -> HostCache:
    """The host cache of this home, for a network; a damaged one is told of."""
    cache, warning = context.home.host_cache(descriptor.id)
    if warning:
        context.progress(f"Warning: {warning}")
    return cache


@asynccontextmanager
async def kept_cache(context: Context, cache: HostCache) -> AsyncIterator[None]:
    """Write the host cache every few minutes where it has changed, and at the end."""

    async def keep() -> None:
        while True:
            await asyncio.sleep(CACHE_EVERY)
            if cache.changed:
                try:
                    context.home.keep_host_cache(cache)
                except Unusable as fault:
                    context.progress(f"Warning: {fault}")

    keeping = asyncio.create_task(keep())
    try:
        yield
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
        context.home.keep_host_cache(cache)


def _keep(home: Home, phone: Phone) -> None:
    """Write down what was learnt, at once: a program that is killed should not forget whom it knew."""
    if phone.account is not None and _still(home, phone.account.name):
        home.keep_memory(phone.account.name, phone.memory)
        home.keep_acquaintances(phone.acquaintances)


def _keep_presence(home: Home, name: str, kept: KeptPresence) -> None:
    """Write what is shown to whom, unless its user has logged out meanwhile."""
    if _still(home, name):
        home.keep_presence(name, kept)


def _keep_renewed(home: Home, renewed: Account) -> None:
    """Write a renewed login down, unless its user has logged out meanwhile, or somebody else has logged in."""
    if _still(home, renewed.name):
        home.keep_account(renewed)


def _still(home: Home, name: str) -> bool:
    """Whether it is still this user who is logged in here."""
    try:
        return home.account().name == name
    except NotLoggedIn:
        return False


async def _in_date(context: Context, descriptor: Descriptor, cache: HostCache) -> Account:
    """Who is logged in here.  A login that has expired (this machine was off for weeks) is renewed first."""
    account = context.home.account()
    claims = account.claims
    if claims.expires > time.time() or claims.network != descriptor.id or not holds_its_key(descriptor, account):
        return account  # or not to be mended by a renewal: whoever opens a phone with it says why
    context.progress("The login has expired; renewing it …")
    async with Phone(descriptor, None, cache) as phone:
        use_proxy(context, phone)
        await phone.open(ANYWHERE)
        renewed = await phone.apply(Purpose.RENEW, account.name, private=account.private)
    context.home.keep_account(renewed)
    return renewed


def use_proxy(context: Context, phone: Phone) -> None:
    """Give a phone the proxy of this machine, where the environment names one."""
    url = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy") or ""
    phone.on_warning = lambda words: context.progress(f"Warning: {words}.")
    try:
        phone.proxy = proxy_of(url)
    except UsageError as fault:
        context.progress(f"Warning: {fault}; going on without")


@asynccontextmanager
async def running_node(context: Context) -> AsyncIterator[ControlClient | None]:
    """The door of the node that runs in this home; None where none runs."""
    try:
        client = await ControlClient.connect(context.home.path / "control.sock")
    except OSError:
        yield None
        return
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def online_phone(
    context: Context, *, account: bool = True, listen: Address | None = None
) -> AsyncIterator[Phone]:
    """A phone that is on line."""
    async with open_phone(context, account=account, listen=listen) as phone:
        joined: Joined = await phone.come_online()
        context.detail(f"On line by {joined.supernode} ({joined.way}) after {joined.took * 1000:.0f} ms")
        yield phone
