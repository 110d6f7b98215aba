"""How a node gets on line where little is let through."""

import pytest
from town_calls import Talkers

from halloo.base.address import Stream
from halloo.call.call import Answered
from halloo.overlay.join import Joined
from halloo.overlay.publish import Published
from halloo.path.reach import Policy
from halloo.sim.town import Town

PROFILES = pytest.mark.parametrize("profile", ["modern", "classic", "plain"])


def behind(town: Town, name: str, ports: tuple[int, ...], *, proxy: bool = False) -> None:
    """A user whose firewall drops everything but TCP to some ports."""
    host = Talkers(town).settle(name).address.host
    town.world.net.only_ports[host] = ports
    if proxy:
        town.world.net.proxied.add(host)
        town.node(name).join.has_proxy = True


def joined(town: Town, name: str, within: float) -> Joined:
    town.world.run(within, lambda: bool(town.world.events(Published, name)))
    (event,) = town.world.events(Joined, name)
    return event


@PROFILES
@pytest.mark.parametrize(("port", "seconds"), [(80, 3.0), (443, 2.5), (33_033, 2.0)])
def test_one_port_is_enough(profile: str, port: int, seconds: float) -> None:
    town = Town(1, profile=profile)
    behind(town, "ada", (port,))
    event = joined(town, "ada", 30.0)
    assert event.way == f"tcp {port}"
    if profile != "classic":  # there the article's ladder is climbed rung by rung
        assert event.took <= seconds
    else:
        assert 5.0 <= event.took <= 17.0


@PROFILES
def test_a_proxy_is_enough(profile: str) -> None:
    town = Town(2, profile=profile)
    behind(town, "ada", (), proxy=True)
    event = joined(town, "ada", 30.0)
    assert event.way == "tcp 443 by the proxy"
    assert event.took <= (17.0 if profile == "classic" else 2.5)
    route = town.world.residents["ada"].station.endpoint.route(event.peer)
    assert isinstance(route, Stream)
    assert route.proxied


def test_without_a_proxy_none_is_tried() -> None:
    town = Town(3)
    behind(town, "ada", ())
    town.world.run(60.0)
    assert not town.world.events(Joined, "ada")


@pytest.mark.parametrize("profile", ["modern", "classic"])
def test_two_behind_strict_firewalls_talk(profile: str) -> None:
    town = Town(4, profile=profile)
    behind(town, "ada", (443,))
    behind(town, "bob", (), proxy=True)
    joined(town, "ada", 30.0)
    joined(town, "bob", 30.0)
    call, effects = town.node("ada").calls.dial("bob", Policy.ANY, town.world.now)
    town.act("ada", effects)
    town.world.run(town.world.now + 20.0, lambda: len(town.world.events(Answered)) == 2)
    assert len(town.world.events(Answered)) == 2
    assert call in town.node("ada").calls.active
