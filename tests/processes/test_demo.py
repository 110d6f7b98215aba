"""The demonstration: a whole network, two calls with speech, a report; and its own faults."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes


def demo(*arguments: str, within: float = 150) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "halloo", "demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=within, stdin=subprocess.DEVNULL)


@pytest.mark.timeout(200)
@pytest.mark.parametrize("profile", ["modern", "classic"])
def test_the_demonstration(tmp_path: Path, profile: str) -> None:
    done = demo("--profile", profile, "--out", str(tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    table = json.loads(done.stdout)
    assert (table["ok"], table["profile"]) == (True, profile)
    assert [(call["from"], call["path"]) for call in table["calls"]] == [
        ("alice", "direct"),
        ("bob", "direct"),
        ("alice", "relayed"),
        ("bob", "relayed"),
    ]
    for call in table["calls"]:
        assert call["frames_played"] >= 0.95 * call["frames_sent"]
        assert 20 < call["mouth_to_ear_ms"] < 400
        if call["measure"] == "pesq-wb":
            assert call["pesq"] > 3.5  # the figure itself is for the bench: here a busy machine may cost a frame
        assert Path(call["wav"]).stat().st_size > 500_000
    page = Path(table["report"]).read_text("utf-8")
    assert page.count("<svg") == 1 + 3 * len(table["calls"])
    assert ("broken by today" in page) == (profile == "classic")
    assert not list(tmp_path.glob("*.tmp"))


def test_no_such_speech(tmp_path: Path) -> None:
    done = demo("--out", str(tmp_path), "--speech", str(tmp_path / "none.wav"))
    assert done.returncode == 2
    assert "no speech file" in done.stderr
    broken = tmp_path / "broken.wav"
    broken.write_bytes(os.urandom(1000))
    done = demo("--out", str(tmp_path), "--speech", str(broken))
    assert done.returncode == 2
    assert "broken.wav" in done.stderr
    assert "Traceback" not in done.stderr
