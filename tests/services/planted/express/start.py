"""Starts the shop. Its packages are installed once, by npm, into a cache folder outside of the repository."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def install_packages():
    """Return the folder node_modules of the exact versions of package-lock.json."""
    lock = (HERE / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pymacaron-planted"
    folder = cache / hashlib.sha256(lock).hexdigest()[:16]
    if (folder / "complete").exists():
        return folder / "node_modules"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # others may start it as well
        if not (folder / "complete").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, folder)
            command = ["npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
            subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr)
            (folder / "complete").touch()
    return folder / "node_modules"


def main():
    modules = install_packages()
    if sys.argv[1:] == ["--install"]:
        return
    os.execvpe("node", ["node", "server.js"], {**os.environ, "NODE_PATH": str(modules)})


if __name__ == "__main__":
    os.chdir(HERE)
    main()
