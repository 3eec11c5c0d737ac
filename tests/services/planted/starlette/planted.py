"""The one mistake that this process makes: the environment variable PLANTED names it, see defects.yaml."""

import os
import re
import sys
from pathlib import Path

KNOWN = frozenset(re.findall(r"^- id: (\w+)$", (Path(__file__).parent / "defects.yaml").read_text(), re.MULTILINE))
ACTIVE = os.environ.get("PLANTED", "")

if ACTIVE and ACTIVE not in KNOWN:
    sys.stderr.write(f"PLANTED={ACTIVE} is not in defects.yaml\n")
    raise SystemExit(2)


def planted(defect: str) -> bool:
    """Tell whether the mistake is made. Raises LookupError: defects.yaml does not have it."""
    if defect not in KNOWN:
        raise LookupError(defect)
    return defect == ACTIVE
