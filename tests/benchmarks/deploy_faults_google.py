"""The deploys and planted faults of deploy_faults.py on Cloud Run and GKE, by the real clients, with real containers.

Run: ``PYTHONPATH=tests/services python tests/benchmarks/deploy_faults_google.py gke [FAULT …]``,
or with gcp-cloud-run. Needs a Docker engine and docker-registry; takes some minutes a fault.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy_faults import Parcels, show_result

from clouds.cloud_run import CloudRunServer
from clouds.cloud_storage import run_cloud_storage
from clouds.kubernetes import KubernetesServer
from images import Registry, base_image, run_registry
from parcels import FAULTS, write_parcels
from pymacaron.config import load_config
from pymacaron.deploy import Target, find_target

SETTINGS = """deploy_target: {target}
gcp_project: acme
gcp_region: europe-north1
gcp_cluster: shop-live
gcp_port: 18417
gcp_endpoints: {endpoints}
deploy_steps: [10, 50, 100]
deploy_step_time: 10
deploy_bake_time: 10
deploy_decision_time: 60
deploy_lock_time: 10
docker_repo: {host}
docker_base: {base}
"""


@dataclass(frozen=True, slots=True)
class GoogleParcels(Parcels):
    """The service, released on a target at Google again and again."""

    @property
    def target(self) -> Target:
        """Return its target."""
        return find_target(load_config(self.folder))


@contextmanager
def run_cloud(target: str) -> Iterator[dict[str, str]]:
    """Run the interfaces that *target* calls; gives ``gcp_endpoints``."""
    if target == "gke":
        cluster = KubernetesServer()
        try:
            yield {"container": cluster.endpoint}
        finally:
            cluster.stop()
        return
    cloud = CloudRunServer()
    try:
        with run_cloud_storage() as storage:
            yield {**dict.fromkeys(["run", "secretmanager", "logging"], cloud.endpoint), "storage": storage}
    finally:
        cloud.stop()


@contextmanager
def open_google_parcels(home: Path, registry: Registry, target: str) -> Iterator[GoogleParcels]:
    """Give the service, in *home*, not yet deployed."""
    with run_cloud(target) as endpoints:
        places = {"host": registry.host, "base": base_image(registry), "endpoints": json.dumps(endpoints)}
        parcels = GoogleParcels(home / "parcels", SETTINGS.format(target=target, **places))
        write_parcels(parcels.folder, "first", parcels.settings)
        yield parcels


def main(target: str, wanted: list[str]) -> int:
    """Deploy one good release after the other, then each fault; print a line for each."""
    cases = [("first", ""), ("second", ""), *((f"fault{number}", fault) for number, fault in enumerate(wanted))]
    with (
        tempfile.TemporaryDirectory() as name,
        run_registry(Path(name) / "registry") as registry,
        open_google_parcels(Path(name), registry, target) as parcels,
    ):
        results = [show_result(fault, parcels.deploy(mark, fault)) for mark, fault in cases]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:] or list(FAULTS)))
