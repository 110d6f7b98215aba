"""The programs of ``tools/``, for the tests that run them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

__all__ = ["ROOT", "tool"]

ROOT = Path(__file__).parents[2]


def tool(name: str) -> ModuleType:
    """One program as a module."""
    known = f"halloo_tools_{name}"
    if known not in sys.modules:
        found = importlib.util.spec_from_file_location(known, ROOT / "tools" / f"{name}.py")
        assert found is not None
        assert found.loader is not None
        if str(ROOT / "tools") not in sys.path:
            sys.path.append(str(ROOT / "tools"))  # they import each other
        module = importlib.util.module_from_spec(found)
        sys.modules[known] = module
        found.loader.exec_module(module)
    return sys.modules[known]
