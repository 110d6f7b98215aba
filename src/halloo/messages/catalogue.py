"""Number to message: the language of the network, and which part of it may be spoken where.

``OPEN`` is what may come outside a link, from anybody; ``SEALED`` what two nodes with a link say to each other.
A message of one kind in the place of the other is not understood there.
"""

from __future__ import annotations

from halloo.messages import call, link, log, login, overlay, path
from halloo.wire.command import Catalogue

__all__ = ["OPEN", "SEALED"]

OPEN = Catalogue(
    [
        link.Hello,
        link.HelloAnswer,
        link.HelloRetry,
        link.Finish,
        log.LogAsked,
        log.LogTold,
        login.Letter,
        login.LetterAnswer,
        overlay.Probe,
        overlay.ProbeAccept,
        overlay.ProbeRefuse,
    ]
)

SEALED = Catalogue(
    [
        call.Answer,
        call.Bye,
        call.Decline,
        call.Invite,
        call.Ringing,
        link.Goodbye,
        link.Renew,
        link.RenewAnswer,
        link.RenewFinish,
        log.CarryQuestion,
        log.QuestionBack,
        login.CarryLetter,
        login.LetterBack,
        overlay.Attach,
        overlay.AttachRefused,
        overlay.Attached,
        overlay.Found,
        overlay.Leave,
        overlay.Mesh,
        overlay.Meshed,
        overlay.Ping,
        overlay.Pong,
        overlay.Replicate,
        overlay.Search,
        overlay.Store,
        overlay.Stored,
        path.RelayClose,
        path.RelayGranted,
        path.RelayOffer,
        path.RelayRefused,
        path.RelayRequest,
    ]
)
