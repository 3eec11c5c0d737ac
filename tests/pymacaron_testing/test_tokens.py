"""Tokens are minted with the service's own configuration; the command runs pytest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner

from pymacaron.config import PymConfig, set_config
from pymacaron_testing import command
from pymacaron_testing.tokens import can_mint, main, mint_credentials, mint_token

SECRET = "0123456789abcdef0123456789abcdef"
CONFIG = f"jwt_secret: {SECRET}\njwt_issuer: me\njwt_audience: us\n"


@pytest.fixture(autouse=True)
def _own_configuration() -> Iterator[None]:
    """Leave no configuration behind."""
    yield
    set_config(None)


def read(token: str) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(token, SECRET, algorithms=["HS256"], audience="us", issuer="me")
    return claims


def test_mint() -> None:
    """A token carries the user, further claims and scopes."""
    assert not can_mint()
    set_config(PymConfig(jwt_secret=SECRET, jwt_issuer="me", jwt_audience="us"))  # type: ignore[arg-type]
    assert can_mint()
    assert read(mint_token("ada", role="admin")).items() >= {"sub": "ada", "role": "admin"}.items()
    credentials = mint_credentials(scopes=("read", "write"))
    assert (credentials.name, credentials.scheme) == ("Authorization", "Bearer")
    assert read(credentials.secret).items() >= {"sub": "pymacaron-test", "scope": "read write"}.items()
    assert "scope" not in read(mint_credentials().secret)


def test_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As a program it prints a token, or what is wrong with the configuration."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pym-config.yaml").write_text(CONFIG)
    assert main(["ada"]) == 0
    assert read(capsys.readouterr().out.strip())["sub"] == "ada"
    (tmp_path / "pym-config.yaml").write_text("validation_status: many\n")
    assert main([]) == 2
    assert "validation_status is 'many'" in capsys.readouterr().err


def test_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pymacaron test` runs pytest with the plugin switched on, and hands its exit code on."""
    seen: list[list[str]] = []

    def run_pytest(arguments: list[str]) -> int:
        seen.append(arguments)
        return 1

    monkeypatch.setattr(pytest, "main", run_pytest)
    arguments = ["--target=http://h", "--spec=x.yaml", "--auth=A: b", "--auth=C: d", "-k", "pets", "-x", "dir"]
    assert CliRunner().invoke(command.test, arguments).exit_code == 1
    options = ["--pymacaron-target=http://h", "--pymacaron-spec=x.yaml"]
    users = ["--pymacaron-auth=A: b", "--pymacaron-auth=C: d"]
    assert seen == [["--pymacaron", *options, *users, "-k", "pets", "-x", "dir"]]
    CliRunner().invoke(command.test, [])
    assert seen[1] == ["--pymacaron"]
