"""One target under the guidance of atheris: ``python -m fuzz._guided NAME LIBFUZZER-ARGUMENT...``

``--play FILE...`` instead of arguments calls the target with each file, without atheris.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Fuzz one target until libFuzzer's own limits."""
    name, arguments = sys.argv[1], sys.argv[2:]
    if arguments[:1] == ["--play"]:
        from fuzz._targets import TARGETS

        for path in arguments[1:]:
            TARGETS[name](Path(path).read_bytes())
        return
    import atheris

    with atheris.instrument_imports(include=["halloo"]):
        from fuzz._targets import TARGETS
    target = TARGETS[name]
    target(b"")  # what is made once is made now
    atheris.Setup([sys.argv[0], *arguments], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
