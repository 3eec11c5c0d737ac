"""Images built without a Docker engine, pushed to a real registry."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from images import Registry, base_image, require_engine
from pymacaron.deploy.image import ImageOptions, build
from pymacaron.deploy.image_source import find_commit, find_version
from pymacaron.deploy.target import Release
from pymacaron.exceptions import ConfigError, TargetError
from pymacaron.json_types import JsonObject
from pymacaron.scaffold import write_service

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a service that needs nothing which the base image of tests does not have."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    folder = tmp_path / "shop"
    write_service("shop", folder)
    (folder / "requirements.txt").write_text("# all in the base\n")
    return folder


@pytest.fixture
def options(registry: Registry) -> ImageOptions:
    return ImageOptions(repository=f"{registry.host}/team/shop", base=base_image(registry))


def commit(folder: Path, message: str = "Change") -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    if not (folder / ".git").exists():
        subprocess.run(["git", "init", "-q", str(folder)], check=True)
    subprocess.run(["git", "-C", str(folder), "add", "-A"], check=True)
    subprocess.run(["git", "-C", str(folder), *who, "commit", "-qm", message], check=True)


def fetch(release: Release) -> tuple[JsonObject, JsonObject]:
    """Return the manifest and the config of the release's image, as the registry has them."""
    host, _, rest = release.image.partition("/")
    repository, _, digest = rest.partition("@")
    root = f"http://{host}/v2/{repository}"
    accepted = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    manifest = requests.get(f"{root}/manifests/{digest}", headers=accepted, timeout=30).json()
    return manifest, requests.get(f"{root}/blobs/{manifest['config']['digest']}", timeout=30).json()


def read_layer(release: Release, number: int = -1) -> dict[str, bytes]:
    """Return the files in one layer of the release's image."""
    manifest, _ = fetch(release)
    host, _, rest = release.image.partition("/")
    digest = manifest["layers"][number]["digest"]
    data = requests.get(f"http://{host}/v2/{rest.partition('@')[0]}/blobs/{digest}", timeout=30).content
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        files = {entry.name: archive.extractfile(entry) for entry in archive if entry.isfile()}
        return {name: file.read() for name, file in files.items() if file}


def test_same_code_gives_the_same_image(shop: Path, options: ImageOptions, tmp_path: Path) -> None:
    """The digest depends on the commit alone: a clone of it, elsewhere and later, gives the same one."""
    commit(shop)
    first = build(shop, options=options)
    clone = tmp_path / "elsewhere" / "shop"
    subprocess.run(["git", "clone", "-q", str(shop), str(clone)], check=True)
    os.utime(clone / "server.py", (1, 1))

    assert build(clone, options=options) == first
    assert first.version == find_version(find_commit(shop))
    assert first.version.endswith(first.revision[:7])


def test_what_a_deploy_writes_changes_nothing(shop: Path, options: ImageOptions) -> None:
    """Records of deploys, reports of tests and the service's data are neither in the image nor a change of the code."""
    (shop / ".gitignore").unlink()
    commit(shop)
    first = build(shop, options=options)
    for name in (
        ".pym/1/journal.jsonl",
        "data/shop.db",
        "pymacaron-report.json",
        "junit.xml",
        "shop/__pycache__/a.pyc",
    ):
        (shop / name).parent.mkdir(parents=True, exist_ok=True)
        (shop / name).write_text("{}")

    assert build(shop, options=options) == first
    assert find_commit(shop).is_clean
    (shop / "shop" / "extra.py").write_text("")
    assert not find_commit(shop).is_clean


def test_changed_code_sends_only_its_own_layer(shop: Path, options: ImageOptions) -> None:
    """A change of the code gives another digest, with the other layers as they were."""
    first = build(shop, "v1", options)
    (shop / "server.py").write_text((shop / "server.py").read_text() + "\n# changed\n")
    second = build(shop, "v2", options)

    before, after = (fetch(release)[0]["layers"] for release in (first, second))
    assert first.image != second.image
    assert before[:-1] == after[:-1]
    assert before[-1] != after[-1]
    assert read_layer(second)["pym/server.py"].endswith(b"# changed\n")


def test_image_says_what_it_is(shop: Path, options: ImageOptions) -> None:
    """Labels, user, health check, version and bill of materials are those of the service."""
    commit(shop)
    release = build(shop, "v1", options)
    _, config = fetch(release)
    settings, files = config["config"], read_layer(release)
    bill = json.loads(files["pym/SBOM.cdx.json"])

    assert settings["User"] == "10001:10001"
    assert settings["Healthcheck"]["Test"][:3] == ["CMD", "python3", "-c"]
    assert "PYM_ENV=prod" in settings["Env"]
    assert settings["Labels"] == {
        "org.opencontainers.image.title": "shop",
        "org.opencontainers.image.version": "v1",
        "org.opencontainers.image.revision": release.revision,
        "org.opencontainers.image.created": release.created.isoformat(timespec="seconds"),
        "org.opencontainers.image.base.name": options.base.partition("@")[0],
        "org.opencontainers.image.base.digest": options.base.partition("@")[2],
        "io.pymacaron.spec.sha256": release.spec_sha256,
    }
    assert files["pym/VERSION"] == b"v1\n"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(files["pym/SBOM.cdx.json"].decode()) is None
    assert bill["metadata"]["component"] == {
        "type": "application",
        "bom-ref": "service",
        "name": "shop",
        "version": "v1",
    }


def test_image_holds_no_secret(shop: Path, options: ImageOptions) -> None:
    """What holds secrets, or is of no use in an image, is not in it."""
    commit(shop)
    (shop / ".env").write_text("TOKEN=abc")
    (shop / "tls.key").write_text("key")
    (shop / ".dockerignore").write_text("*.csv\n!.env\n!.git\nshop/notes\n")
    (shop / "rows.csv").write_text("1")
    (shop / "shop" / "notes").mkdir()
    (shop / "shop" / "notes" / "a.txt").write_text("a")
    (shop / "shop" / "rows.csv").write_text("1")

    names = {name for name in read_layer(build(shop, "v1", options)) if name.startswith("pym/")}
    assert names == {
        "pym/README.md",
        "pym/SBOM.cdx.json",
        "pym/VERSION",
        "pym/apis/shop.yaml",
        "pym/apis/shop_models.py",
        "pym/pym-config.prod.yaml",
        "pym/requirements.txt",
        "pym/server.py",
        "pym/shop/__init__.py",
        "pym/shop/handlers.py",
        "pym/shop/rows.csv",
        "pym/shop/store.py",
    }


@pytest.mark.unmeasured
def test_image_runs(shop: Path, options: ImageOptions) -> None:
    """A Docker engine runs the image; the service answers, as a user that is not root, and finds itself healthy."""
    require_engine()
    release = build(shop, "v1", options)
    command = ["docker", "run", "-d", "--rm", "-e", f"SHOP_JWT_SECRET={SECRET}", "-p", "127.0.0.1::8080", release.image]
    container = subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL).strip()
    try:
        address = subprocess.check_output(["docker", "port", container, "8080"], text=True).split()[0]
        told = _wait_for(f"http://{address}/version")
        who = subprocess.check_output(["docker", "exec", container, "id", "-u"], text=True)
        probe = fetch(release)[1]["config"]["Healthcheck"]["Test"][1:]
        health = subprocess.run(["docker", "exec", container, *probe], check=False)
    finally:
        subprocess.run(["docker", "rm", "-f", container], check=True, capture_output=True)
        subprocess.run(["docker", "rmi", "-f", release.image], check=True, capture_output=True)
    assert told == {"name": "shop", "version": "v1", "apis": ["ping", "shop"], "pym_env": "prod"}
    assert who == "10001\n"
    assert health.returncode == 0


def _wait_for(url: str) -> JsonObject:
    deadline = time.monotonic() + 60
    while True:
        try:
            told: JsonObject = requests.get(url, timeout=5).json()
        except requests.RequestException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return told


def test_names_what_keeps_a_service_out_of_an_image(
    shop: Path, options: ImageOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Secrets in the configuration and in files are told all at once, with what to do."""
    monkeypatch.setenv("SHOP_JWT_SECRET", SECRET)
    config = shop / "pym-config.prod.yaml"
    config.write_text(
        config.read_text() + "database_url: postgresql://shop:pw@db/shop\nresult_backend: redis://cache/0\n"
    )
    config.write_text(config.read_text() + "celery:\n  more: [amqp://user:pw@queue/]\n")
    (shop / "cert.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    (shop / "shop" / "settings.py").write_text(f"KEY = '{SECRET}'\n")
    index = "--extra-index-url https://ci:{}@pypi.example.com/simple\n"
    (shop / "requirements.txt").write_text(index.format("${PIP_TOKEN}"))
    (shop / "requirements-more.txt").write_text(index.format("abc"))

    with pytest.raises(ConfigError) as raised:
        build(shop, "v1", options)
    line = len(config.read_text().splitlines()) - 3
    fix = "Put it into a variable, name that under env_secrets, and write its name as the value of"
    password = "Write ${NAME} for it, a variable that is set where images are built."
    leak = "Write it into .dockerignore and give the secret to the service by env_secrets."
    assert str(raised.value).splitlines() == [
        f"{config}:{line}: database_url holds a secret, which would be in the image. {fix} database_url.",
        f"{config}:{line + 2}: celery holds a secret, which would be in the image. {fix} celery.",
        f"cert.pem: it holds a private key. {leak}",
        f"requirements-more.txt: it holds an address with a password. {password}",
        f"shop/settings.py: it holds the value of the secret SHOP_JWT_SECRET. {leak}",
    ]


def test_follows_only_links_that_it_is_told_to(shop: Path, options: ImageOptions, tmp_path: Path) -> None:
    """Links within the service stay links; others are copied if include_links names them, and refused if not."""
    outside = tmp_path / "common"
    outside.mkdir()
    (outside / "words.py").write_text("WORD = 1\n")
    (shop / "shop" / "common").symlink_to(outside)
    (shop / "shop" / "again.py").symlink_to("handlers.py")
    with pytest.raises(ConfigError) as raised:
        build(shop, "v1", options)
    assert str(raised.value) == (
        f"shop/common: it points to {outside}, which is not in the service's folder. Write shop/common under "
        "include_links in pym-config.yaml to have a copy in the image, or into .dockerignore."
    )
    config = shop / "pym-config.prod.yaml"
    config.write_text(config.read_text() + "include_links: [shop/common]\n")

    assert read_layer(build(shop, "v1", options))["pym/shop/common/words.py"] == b"WORD = 1\n"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"base": "{host}/nothing:1"},
            "{host}/nothing:1: there is no such image (status 404: MANIFEST_UNKNOWN manifest unknown). "
            "Name one that is there.",
            id="base",
        ),
        pytest.param(
            {"repository": "127.0.0.1:1/shop"},
            "127.0.0.1:1/shop: the registry does not answer. Check its name, and that it runs.",
            id="registry",
        ),
        pytest.param(
            {"machine": "s390x"}, "{base}: it is for amd64, not s390x. Choose another docker_base.", id="machine"
        ),
    ],
)
def test_says_what_it_cannot_reach(
    changes: dict[str, str], message: str, shop: Path, options: ImageOptions, registry: Registry
) -> None:
    """A base or a registry that is not there is named."""
    given = {key: value.format(host=registry.host) for key, value in changes.items()}
    chosen = ImageOptions(given.get("repository", options.repository), given.get("base", options.base))
    chosen = replace(chosen, machine=given.get("machine", ""))
    with pytest.raises(TargetError) as raised:
        build(shop, "v1", chosen)
    assert str(raised.value) == message.format(host=registry.host, base=options.base)


def test_asks_where_images_go(shop: Path) -> None:
    """Without docker_repo there is no place for an image."""
    with pytest.raises(ConfigError) as raised:
        build(shop, "v1")
    assert str(raised.value) == (
        "pym-config.yaml: docker_repo: it is not set. Write where images go, as in docker_repo: "
        "registry.example.com/team, or name it by --repository."
    )
