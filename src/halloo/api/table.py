"""What the contract promises as JSON: a call's report, and what a search found.  Times in milliseconds unless named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from halloo.messages.credential import Entry
from halloo.node.descriptor import grouped
from halloo.node.switchboard import CallReport
from halloo.overlay.browse import Browsed
from halloo.overlay.search import SearchDone
from halloo.runtime.acquaintances import KeyChange

__all__ = ["browsed_table", "report_table", "users_table"]


def report_table(report: CallReport, key_change: KeyChange | None = None) -> dict[str, Any]:
    """The table that ``call`` and ``answer`` print.  ``key_change``: in words, where a known key has changed."""
    return {
        "event": "call",
        "name": report.name,
        "outgoing": report.outgoing,
        "result": report.result.value if report.result else None,
        "reason": report.reason,
        "path": report.path.value if report.path else None,
        "route": report.route,
        "setup_ms": _ms(report.setup),
        "first_audio_ms": _ms(report.first_audio),
        "duration_s": round(report.duration, 3),
        "answered_at": report.answered_at,
        "frames_sent": report.frames_sent,
        "frames_played": report.frames_played,
        "frames_concealed": report.frames_concealed,
        "interrupted": report.interrupted,
        "interruptions": report.interruptions,
        "quality": asdict(report.quality) if report.quality else {},
        "key_change": key_change.words if key_change else None,
        "seconds": [second._asdict() for second in report.seconds],
    }


def users_table(done: SearchDone, digest: Callable[[bytes], bytes], wall: float) -> dict[str, Any]:
    """What ``search --exact`` prints; ``digest`` makes the fingerprints, ``wall`` is now."""
    return {"users": [_user(entry, digest, wall) for entry in done.entries], "complete": done.complete}


def browsed_table(
    entries: Iterable[Entry], page: Browsed, digest: Callable[[bytes], bytes], wall: float
) -> dict[str, Any]:
    """What ``search`` prints of a search by words."""
    return {
        "users": [_user(entry, digest, wall) for entry in entries],
        "complete": page.complete,
        "searched": page.searched,
        "blocks": page.blocks,
        "more": page.more,
    }


def _user(entry: Entry, digest: Callable[[bytes], bytes], wall: float) -> dict[str, Any]:
    return {
        "name": entry.name,
        "full_name": entry.listing.full_name,
        "city": entry.listing.city,
        "online": entry.on_line(wall),
        "seen": entry.seen,
        "fingerprint": grouped(digest(entry.claims.key)[:16]),
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
