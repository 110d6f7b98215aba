"""A local network of namespaces on one switch, with no way to anywhere else.

    inside 10.78.0.2 ── switch ── beside 10.78.0.3
                          │
                  outside 10.78.0.4
"""

from __future__ import annotations

from walled import Walled

__all__ = ["HOSTS", "Island"]

HOSTS = {"inside": "10.78.0.2", "beside": "10.78.0.3", "outside": "10.78.0.4"}


class Island(Walled):
    """Three machines of a home without the internet."""

    programs = ("ip",)

    def _build(self, passes: str) -> None:
        for place in ("wall", *HOSTS):
            self._ip("netns", "add", self._space(place))
            self._ip("-n", self._space(place), "link", "set", "lo", "up")
        switch = self._space("wall")
        self._ip("-n", switch, "link", "add", "switch", "type", "bridge", "mcast_snooping", "0")
        self._ip("-n", switch, "link", "set", "switch", "up")
        for number, (place, host) in enumerate(HOSTS.items()):
            near, far = f"n{number}{self._mark}", f"f{number}{self._mark}"
            space = self._space(place)
            self._ip("link", "add", near, "netns", space, "type", "veth", "peer", "name", far, "netns", switch)
            self._ip("-n", space, "addr", "add", f"{host}/24", "dev", near)
            self._ip("-n", switch, "link", "set", far, "master", "switch")
            self._ip("-n", space, "link", "set", near, "up")
            self._ip("-n", switch, "link", "set", far, "up")
