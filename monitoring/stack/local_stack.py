"""Runs the demo service under load, with Debian's Prometheus and Alertmanager watching it: ``make monitor``.

Everything listens on free ports of this machine only, lives in a folder of its own, and ends with Ctrl-C.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType

import click
import requests
import yaml

from pymacaron.demo import NAME, Fault, plant, start_service
from pymacaron.exceptions import Finding, StartupError, TargetError
from pymacaron.json_types import JsonObject
from pymacaron.scaffold import write_service
from pymacaron.spec import load_spec
from pymacaron_monitoring.files import write_files
from pymacaron_monitoring.grafana import DashboardOptions
from pymacaron_monitoring.rules import RuleOptions
from pymacaron_monitoring.slo_command import plan_dashboards, plan_rules

HERE = Path(__file__).parent
PROGRAMS = {"prometheus": ("prometheus",), "alertmanager": ("prometheus-alertmanager", "alertmanager")}
_SWITCHED = """\
    if (Path(__file__).parents[1] / "fault").exists():
        raise RuntimeError("the file fault is there")
    return ItemPage("""
SWITCH = Fault(
    "lists of items fail while the file 'fault' is in the service's folder",
    f"{NAME}/handlers.py",
    (("from pymacaron.", "from pathlib import Path\n\nfrom pymacaron."), ("    return ItemPage(", _SWITCHED)),
)
LISTS_PER_ROUND = 4
"""Of the six requests of a round of the load: lists, which the fault makes fail."""

_READY_TIMEOUT_S = 30.0
_PAUSE_S = 0.05
_GROUP_WAIT_S = 30


@click.command()
@click.option("--scale", default=1.0, show_default=True, help="Factor of all windows, 0.0167 to rehearse in minutes.")
@click.option("--scrape", "scrape_s", default=5, show_default=True, help="Seconds between scrapes.")
def monitor(scale: float, scrape_s: int) -> None:
    """Serve, load and watch the demo until Ctrl-C; alerts are printed, and kept in a file."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with contextlib.ExitStack() as stack:
            _start(stack, scale, scrape_s)
            while True:
                time.sleep(1)
    except KeyboardInterrupt:
        click.echo("Stopped.")
    except StartupError as error:
        click.echo(f"{error}", err=True)
        sys.exit(2)


def find_program(name: str) -> str:
    """Return the path of a program. Raises TargetError with how to get it."""
    for command in PROGRAMS[name]:
        path = shutil.which(command)
        if path:
            return path
    raise TargetError(Finding(name, "it is not installed", f"Run apt-get install {PROGRAMS[name][0]}"))


def configure(name: str, change: Callable[[JsonObject], None], folder: Path) -> Path:
    """Write the configuration *name* of this folder to *folder*, changed; Docker takes it as it is."""
    config = yaml.safe_load((HERE / name).read_text(encoding="utf-8"))
    change(config)
    file = folder / name
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return file


def _start(stack: contextlib.ExitStack, scale: float, scrape_s: int) -> None:
    """Start everything and say where it is; closing *stack* stops it."""
    prometheus, alertmanager = find_program("prometheus"), find_program("alertmanager")
    home = Path(tempfile.mkdtemp(prefix="pymacaron-monitor-"))
    stack.callback(shutil.rmtree, home, ignore_errors=True)
    folder = home / NAME
    write_service(NAME, folder)
    plant(SWITCH, folder)
    api = load_spec(folder / "apis" / f"{NAME}.yaml")
    rules = plan_rules([api], RuleOptions(NAME, scale))
    write_files(home / "dashboards", {**rules, **plan_dashboards([api], DashboardOptions(NAME, scale=scale))})
    service = start_service(folder, home / "service.log", stack)
    inbox = stack.enter_context(_serve_inbox(home / "alerts.jsonl"))
    alertmanager_url = _start_alertmanager(stack, alertmanager, home, inbox=inbox, scale=scale)
    targets = (service.url.removeprefix("http://"), alertmanager_url.removeprefix("http://"))
    prometheus_url = _start_prometheus(stack, prometheus, home, targets=targets, scrape_s=scrape_s)
    stack.enter_context(_keep_busy(service.url))
    for name, value in (
        ("Service", f"{service.url}/doc"),
        ("Prometheus", f"{prometheus_url}/alerts"),
        ("Alertmanager", alertmanager_url),
        ("Dashboards", home / "dashboards"),
        ("Alerts", home / "alerts.jsonl"),
        ("Break it", f"touch {folder / 'fault'}"),
        ("Repair it", f"rm {folder / 'fault'}"),
    ):
        click.echo(f"{name:13} {value}")
    sys.stdout.flush()


def _start_alertmanager(stack: contextlib.ExitStack, program: str, home: Path, *, inbox: str, scale: float) -> str:
    def change(config: JsonObject) -> None:
        config["route"]["group_wait"] = f"{max(1, round(_GROUP_WAIT_S * scale))}s"
        config["route"]["group_interval"] = "1s" if scale < 1 else "1m"
        for receiver in config["receivers"]:
            receiver["webhook_configs"][0]["url"] = f"{inbox}/{receiver['name']}"

    port = _find_free_port()
    file = configure("alertmanager.yml", change, home)
    options = [f"--config.file={file}", f"--storage.path={home / 'alertmanager'}", "--cluster.listen-address="]
    _spawn(stack, [program, *options, f"--web.listen-address=127.0.0.1:{port}"], home / "alertmanager.log")
    return _wait_until_ready(f"http://127.0.0.1:{port}", home / "alertmanager.log")


def _start_prometheus(
    stack: contextlib.ExitStack, program: str, home: Path, *, targets: tuple[str, str], scrape_s: int
) -> str:
    def change(config: JsonObject) -> None:
        config["global"] = {"scrape_interval": f"{scrape_s}s", "evaluation_interval": f"{scrape_s}s"}
        config["rule_files"] = [str(home / "dashboards" / "*.rules.yaml")]
        config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [targets[1]]
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [targets[0]]

    port = _find_free_port()
    file = configure("prometheus.yml", change, home)
    options = [f"--config.file={file}", f"--storage.tsdb.path={home / 'prometheus'}", "--log.level=warn"]
    _spawn(stack, [program, *options, f"--web.listen-address=127.0.0.1:{port}"], home / "prometheus.log")
    return _wait_until_ready(f"http://127.0.0.1:{port}", home / "prometheus.log")


def _spawn(stack: contextlib.ExitStack, command: list[str], log: Path) -> None:
    """Start a program, its output in *log*; closing *stack* ends it."""
    with log.open("wb") as output:
        # A group of its own: Ctrl-C reaches only us, who end it in order.
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)  # noqa: S603 - ours

    def stop() -> None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()

    stack.callback(stop)


def _wait_until_ready(url: str, log: Path) -> str:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.RequestException):
            if requests.get(f"{url}/-/ready", timeout=2).ok:
                return url
        time.sleep(0.1)
    tail = "\n  ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
    raise TargetError(Finding(url, f"it does not start: {tail}", "Correct what it says"))


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _serve_inbox(file: Path) -> Iterator[str]:
    """Take what Alertmanager sends, print it, and add it to *file* as one line of JSON; give the URL."""
    file.touch()

    class Inbox(BaseHTTPRequestHandler):
        """Receives webhooks."""

        def do_POST(self) -> None:
            """Keep one message."""
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            message["received_at"] = time.time()
            with file.open("a", encoding="utf-8") as output:
                output.write(json.dumps(message) + "\n")
            for alert in message["alerts"]:
                severity, summary = alert["labels"].get("severity"), alert["annotations"].get("summary")
                click.echo(f"{time.strftime('%H:%M:%S')} {alert['status']} {severity}: {summary}")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Inbox) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@contextlib.contextmanager
def _keep_busy(url: str) -> Iterator[None]:
    """Send the service requests, most of them lists, until the block ends."""
    is_over = threading.Event()

    def work() -> None:
        with requests.Session() as http:
            while not is_over.wait(_PAUSE_S):
                with contextlib.suppress(requests.RequestException):
                    for _ in range(LISTS_PER_ROUND):
                        http.get(f"{url}/items", timeout=10)
                    http.get(f"{url}/items/1", timeout=10)
                    http.post(f"{url}/items", json={"name": "Teapot", "price_cents": 2900}, timeout=10)  # no token: 401

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        is_over.set()
        worker.join()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    monitor()
