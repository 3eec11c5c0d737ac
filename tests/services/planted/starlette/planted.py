"""The one mistake that this process makes: the environment variable PLANTED names it, see defects.yaml.

Where PLANTED_FILE names a file, what stands in it is asked each time, so that mistakes come and go while it runs.
"""

import os
import re
import sys
from pathlib import Path

KNOWN = frozenset(re.findall(r"^- id: (\w+)$", (Path(__file__).parent / "defects.yaml").read_text(), re.MULTILINE))
ACTIVE = os.environ.get("PLANTED", "")
_FILE = os.environ.get("PLANTED_FILE", "")

if ACTIVE and ACTIVE not in KNOWN:
    sys.stderr.write(f"PLANTED={ACTIVE} is not in defects.yaml\n")
    raise SystemExit(2)


def planted(defect: str) -> bool:
    """Tell whether the mistake is made. Raises LookupError: defects.yaml does not have it."""
    if defect not in KNOWN:
        raise LookupError(defect)
    return defect == (Path(_FILE).read_text() if _FILE else ACTIVE)
