"""The imitation of a TLS greeting with which classic streams to port 443 begin.

    client                                     server
      | -- 72 bytes, 16 of them random --------> |   framed as by SSL version 2, asking for TLS 1.0, fifteen ciphers
      | <- 79 bytes, always the same ----------- |   its clock stands at 31 January 2004
      | == the stream as on any other port ====> |

It is an imitation and no more: nothing is encrypted by it, and whoever looks twice is not deceived.  The sizes are
those measured of the classic client; the ciphers and the fixed random numbers are our own choice.  The modern profile
does without: its streams to that port travel inside a real TLS connection.
"""

from __future__ import annotations

import hashlib

from halloo.crypto.suite import Disguise

__all__ = ["GREETING"]

_CIPHERS = bytes.fromhex(
    "000004 000005 00000a 010080 0700c0 030080 000009 060040 000064 000062 000003 000006 020080 040080 000013"
)
_CHALLENGE = 16
_HELLO = (
    b"\x80\x46"  # SSL version 2: 70 bytes follow
    + b"\x01\x03\x01"  # a hello that asks for version 3.1, which is TLS 1.0
    + len(_CIPHERS).to_bytes(2, "big")
    + bytes(2)  # no earlier session
    + _CHALLENGE.to_bytes(2, "big")
    + _CIPHERS
)
_CLOCK = 1_075_507_200  # seconds since 1970: 31 January 2004
_ANSWER = (
    b"\x16\x03\x01\x00\x4a"  # a record of 74 bytes
    + b"\x02\x00\x00\x46\x03\x01"  # in it a hello of 70, of TLS 1.0
    + _CLOCK.to_bytes(4, "big")
    + hashlib.sha256(b"halloo greeting").digest()[:28]
    + b"\x20"
    + hashlib.sha256(b"halloo greeting session").digest()
    + b"\x00\x04\x00"
)

GREETING = Disguise(hello=_HELLO, challenge=_CHALLENGE, answer=_ANSWER)
