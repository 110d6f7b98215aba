"""The Kademlia that ours is compared with works as one should."""

from __future__ import annotations

from bench._kademlia import K, Kademlia, kademlia


def test_it_finds_what_is_stored_and_takes_more_steps_as_it_grows() -> None:
    small, large = kademlia(100, 1, 300), kademlia(3_000, 1, 300)
    assert small["success"] == large["success"] == 1.0
    assert 1.0 <= small["round_trips"] < large["round_trips"] < 3.0
    assert small["messages"] < large["messages"]
    assert small["p50_ms"] < large["p50_ms"] < large["p99_ms"]


def test_it_lives_through_the_death_of_some_of_its_nodes_and_pays_with_time() -> None:
    before, after = kademlia(1_000, 2, 300), kademlia(1_000, 2, 300, killed=0.5)
    assert after["success"] > 0.99
    assert after["p99_ms"] > before["p99_ms"]


def test_tables_hold_whom_they_should() -> None:
    network = Kademlia(500, 3)
    assert len(network.alive) == 500
    owner = network.alive[0]
    for bucket in range(9):
        held = network._bucket(owner, bucket)
        assert len(held) <= K
        assert all(64 - (owner.id ^ node.id).bit_length() == bucket for node in held)
