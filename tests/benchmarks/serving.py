"""How fast services answer: pymacaron and its peers, the same three operations.

Run it from the repository: ``python tests/benchmarks/serving.py --in-process`` calls the apps without a server and
prints microseconds of CPU time of one call, the best of the repeats; ``--profile`` adds where pymacaron's time goes.
"""

from __future__ import annotations

import argparse

from in_process import measure_in_process, profile_pymacaron

MOST_OVERHEAD_US = {"ping": 15, "post": 20}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--in-process", action="store_true", help="call the apps without a server")
    parser.add_argument("--repeats", type=int, default=100, help="of 100 calls each, in process")
    parser.add_argument("--profile", action="store_true", help="print where pymacaron's time goes, in process")
    options = parser.parse_args()
    print_in_process(measure_in_process(options.repeats))
    if options.profile:
        print(profile_pymacaron(2000, 40))  # noqa: T201


def print_in_process(found: dict[str, dict[str, float]]) -> None:
    """Print microseconds, what pymacaron adds to bare WSGI, and whether that is little enough."""
    services = list(next(iter(found.values())))
    print(f"{'us':6}" + "".join(f"{name:>18}" for name in services) + f"{'overhead':>10}")  # noqa: T201
    for operation, times in found.items():
        overhead = times["pymacaron"] - times["bare WSGI"]
        most = MOST_OVERHEAD_US.get(operation)
        verdict = "" if most is None else f"  at most {most}: {'kept' if overhead <= most else 'missed'}"
        row = "".join(f"{times[name]:>18.1f}" for name in services)
        print(f"{operation:6}{row}{overhead:>10.1f}{verdict}")  # noqa: T201


if __name__ == "__main__":
    main()
