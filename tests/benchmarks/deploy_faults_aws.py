"""The deploys and planted faults of deploy_faults.py on Elastic Beanstalk, by real boto3, with real containers.

Run: ``PYTHONPATH=tests/services python tests/benchmarks/deploy_faults_aws.py [FAULT …]``. Needs
a Docker engine and docker-registry; takes about three minutes a fault.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy_faults import Parcels, show_result

from clouds.aws import run_aws
from images import Registry, base_image, run_registry
from parcels import FAULTS, write_parcels
from pymacaron.config import load_config
from pymacaron.deploy import Target, find_target

SETTINGS = """deploy_target: aws-beanstalk
aws_hosts_max: 1
aws_poll_interval: 0.5
aws_settle_time: 2
aws_start_timeout: 300
aws_dns_ttl: 1
aws_drain_time: 1
deploy_step_time: 10
deploy_bake_time: 10
deploy_decision_time: 60
deploy_lock_time: 30
deploy_start_time: 300
docker_repo: {host}
docker_base: {base}
"""


@dataclass(frozen=True, slots=True)
class AmazonParcels(Parcels):
    """The service, released on Elastic Beanstalk again and again."""

    is_name_asked = True

    @property
    def target(self) -> Target:
        """Return its target."""
        return find_target(load_config(self.folder))


@contextmanager
def open_amazon_parcels(home: Path, registry: Registry) -> Iterator[AmazonParcels]:
    """Give the service, in *home*, not yet deployed, and an AWS that boto3 finds."""
    with run_aws() as aws:
        os.environ.update(aws.environment)
        settings = SETTINGS.format(host=registry.host, base=base_image(registry))
        parcels = AmazonParcels(home / "parcels", settings)
        write_parcels(parcels.folder, "first", parcels.settings)
        yield parcels
        if aws.faults:
            raise RuntimeError(f"the server is at fault: {aws.faults}")


def main(wanted: list[str]) -> int:
    """Deploy one good release after the other, then each fault; print a line for each."""
    cases = [("first", ""), ("second", ""), *((f"fault{number}", fault) for number, fault in enumerate(wanted))]
    with (
        tempfile.TemporaryDirectory() as name,
        run_registry(Path(name) / "registry") as registry,
        open_amazon_parcels(Path(name), registry) as parcels,
    ):
        results = [show_result(fault, parcels.deploy(mark, fault)) for mark, fault in cases]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(FAULTS)))
