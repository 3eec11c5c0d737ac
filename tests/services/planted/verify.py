"""Shows that each planted defect can be seen: python tests/services/planted/verify.py [--service NAME] [--defect ID].

Each defect has a function of its name in visible.py of the service. It asks the running service and returns what it
saw; with the defect that must be something else than without it.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType

from planted_service import Service, User, find_services, load_service, run_service


def load_observations(service: Service) -> ModuleType:
    """Return visible.py of a service."""
    spec = importlib.util.spec_from_file_location(f"visible_{service.name}", service.folder / "visible.py")
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{service.name} has no visible.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def observe(service: Service, url: str, defect: str) -> object:
    """Return what the function of *defect* sees of the service at *url*."""
    look: Callable[[User], object] = getattr(load_observations(service), defect)
    return look(User(service, url))


def find_invisible(service: Service, defects: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for each defect that cannot be seen, or is seen in the clean service as well."""
    with run_service(service) as url:
        clean = {defect: observe(service, url, defect) for defect in defects}
        again = {defect: observe(service, url, defect) for defect in defects}
    for defect in defects:
        if clean[defect] != again[defect]:
            yield f"{service.name} {defect}: the clean service showed {clean[defect]!r}, then {again[defect]!r}"
            continue
        with run_service(service, defect) as url:
            seen = observe(service, url, defect)
        if seen == clean[defect]:
            yield f"{service.name} {defect}: with the defect and without it {seen!r} is seen"


def main() -> int:
    """Verify what the command line names, all without arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--service", action="append", choices=find_services())
    parser.add_argument("--defect", action="append", default=[])
    arguments = parser.parse_args()
    trouble: list[str] = []
    for name in arguments.service or find_services():
        service = load_service(name)
        defects = [defect.id for defect in service.defects if defect.id in (arguments.defect or {defect.id})]
        started = time.monotonic()
        trouble += find_invisible(service, defects)
        sys.stdout.write(f"{name}: {len(defects)} defects in {time.monotonic() - started:.1f} s\n")
    sys.stdout.write("".join(f"{line}\n" for line in trouble))
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
