"""Number to message: the language of the network, and which part of it may be spoken where.

``OPEN`` is what may come outside a link, from anybody; ``SEALED`` what two nodes with a link say to each other.
A message of one in the place of the other is not understood there; searching is in both.  ``EARLY`` is what may already
be said with the ticket of somebody who comes back: only what does no more when it is heard twice than when it is heard
once.
"""

from __future__ import annotations

from halloo.messages import block, call, directory, link, log, login, overlay, path, presence, role, whitepages
from halloo.wire.command import Catalogue

__all__ = ["EARLY", "OPEN", "SEALED"]

OPEN = Catalogue(
    [
        block.Here,
        block.Where,
        directory.Found,
        directory.Keep,
        directory.Kept,
        directory.Refresh,
        directory.Search,
        link.Hello,
        link.HelloAnswer,
        link.HelloRetry,
        link.Finish,
        link.Resume,
        link.Resumed,
        link.ResumeRefused,
        log.LogAsked,
        log.LogTold,
        login.Letter,
        login.LetterAnswer,
        overlay.Probe,
        overlay.ProbeAccept,
        overlay.ProbeRefuse,
        presence.NoticeHeard,
        presence.Noticed,
        presence.Unseen,
        presence.Watch,
        presence.Watched,
        whitepages.WordSearch,
        whitepages.WordsFound,
        role.Reached,
    ]
)

SEALED = Catalogue(
    [
        block.Alive,
        block.Beat,
        block.Compare,
        block.Differs,
        block.Mesh,
        block.Meshed,
        block.News,
        block.Replicate,
        block.Replicated,
        block.Summary,
        block.Wanted,
        call.Answer,
        call.Bye,
        call.Decline,
        call.Invite,
        call.Ringing,
        directory.AtlasAsked,
        directory.AtlasTold,
        directory.Found,
        directory.Refresh,
        directory.Search,
        directory.Store,
        directory.Stored,
        link.AskTicket,
        link.Confirm,
        link.Goodbye,
        link.Renew,
        link.RenewAnswer,
        link.RenewFinish,
        link.Ticket,
        log.CarryQuestion,
        log.QuestionBack,
        login.CarryLetter,
        login.LetterBack,
        overlay.Attach,
        overlay.AttachRefused,
        overlay.Attached,
        overlay.Leave,
        overlay.Ping,
        overlay.Pong,
        path.MeetAt,
        path.PathEcho,
        path.PathProbe,
        path.RelayClose,
        path.RelayGranted,
        path.RelayOffer,
        path.RelayRefused,
        path.RelayRequest,
        presence.Noticed,
        presence.Unseen,
        presence.Unwatch,
        presence.Watch,
        presence.WatchKey,
        presence.WatchKeyKept,
        presence.Watched,
        whitepages.WordSearch,
        whitepages.WordsFound,
        role.Move,
        role.ReachAnswer,
        role.ReachAsked,
        role.ReachPassed,
        path.WayHints,
    ]
)

EARLY = Catalogue([directory.Search, directory.Store, overlay.Attach, overlay.Ping])
