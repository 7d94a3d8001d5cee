"""The one environment of this project: ``.venv``, made by pip from requirements.lock.

``make setup`` runs this file with whatever Python 3.11+ it finds, before anything is installed, so
only the standard library is imported here. A stamp in ``.venv`` holds the hash of what was asked
for; as long as it matches, setup does nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
import venv
from pathlib import Path

STAMP = ".labelsplat-setup"
_MINIMUM = (3, 11)
_NO_DEPS = "# no-deps: "


def locked(lock_text: str) -> dict[str, str]:
    """Pinned versions in a lock file by normalised name, those installed without deps left out.

    Raises:
        ValueError: a line is neither a comment nor ``name==version``.
    """
    pins = {}
    for line in lock_text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!]+)", line.strip())
        if match is None:
            raise ValueError(f"requirements.lock: {line!r} is not name==version")
        pins[normalised(match[1])] = match[2]
    return pins


def locked_without_deps(lock_text: str) -> list[str]:
    """Requirements of the lock's marked lines ``# no-deps: name==version``."""
    lines = lock_text.splitlines()
    return [line.removeprefix(_NO_DEPS).strip() for line in lines if line.startswith(_NO_DEPS)]


def normalised(name: str) -> str:
    """A package's name as PyPI compares it: ``ruamel.yaml`` -> ``ruamel-yaml``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def fingerprint(root: Path) -> str:
    """Hash of everything that decides what setup installs."""
    digest = hashlib.sha256(str(root).encode())
    for name in ("requirements.lock", "pyproject.toml"):
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def setup_seconds(root: Path) -> float | None:
    """Seconds that the last real setup took; None where ``.venv`` was not made by it."""
    try:
        return json.loads((root / ".venv" / STAMP).read_text(encoding="utf-8"))["seconds"]
    except (OSError, ValueError, KeyError):
        return None


def set_up(root: Path) -> None:
    """Make ``.venv`` hold exactly what requirements.lock says; nothing if it already does.

    Raises:
        SystemExit: this Python is too old or lacks venv, or pip failed; says what to do.
    """
    folder, wanted = root / ".venv", fingerprint(root)
    stamp = folder / STAMP
    try:
        if json.loads(stamp.read_text(encoding="utf-8"))["fingerprint"] == wanted:
            return
    except (OSError, ValueError, KeyError):
        pass
    if sys.version_info < _MINIMUM:
        raise SystemExit(f"setup: Python 3.11 or newer is needed, this is {sys.version.split()[0]}")
    start = time.monotonic()
    say = f"setup: making {folder} with Python {sys.version.split()[0]}"
    print(f"{say}, by pip from requirements.lock (one to three minutes, about 2 GB)", flush=True)
    if not (folder / "bin" / "python").exists():
        _make_venv(folder)
    stamp.unlink(missing_ok=True)
    lock_text = (root / "requirements.lock").read_text(encoding="utf-8")
    torch = f"torch=={locked(lock_text)['torch']}"
    steps = [
        (f"{torch}, with its dependencies", [torch]),
        ("everything else in requirements.lock", ["-r", "requirements.lock"]),
        ("the head data, without dependencies", ["--no-deps", *locked_without_deps(lock_text)]),
        ("this project, editable", ["--no-deps", "--no-build-isolation", "-e", "."]),
    ]
    for number, (what, arguments) in enumerate(steps, 1):
        print(f"setup: {number}/{len(steps)} {what}", flush=True)
        command = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", *arguments]
        environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        if subprocess.run(command, cwd=root, env=environment).returncode:
            raise SystemExit(
                f"setup: pip failed, see above; the command was\n  {shlex.join(command)}"
            )
    seconds = round(time.monotonic() - start, 1)
    stamp.write_text(json.dumps({"fingerprint": wanted, "seconds": seconds}), encoding="utf-8")
    print(f"setup: done in {seconds:.0f} s; a second call installs nothing", flush=True)


def _make_venv(folder: Path) -> None:
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise SystemExit(
            f"setup: {sys.executable} has no ensurepip, so it cannot make environments.\n"
            f"On Debian and Ubuntu: sudo apt-get install python{version}-venv"
        ) from None
    venv.EnvBuilder(with_pip=True, symlinks=True).create(folder)


def _direct(root: Path) -> list[str]:
    import tomllib

    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    return sorted((re.split(r"[<>=!~ \[;]", w, maxsplit=1)[0] for w in wanted), key=str.lower)


def environment_yml(root: Path) -> str:
    """The text of environment.yml: the direct dependencies at the lock's versions."""
    pins = locked((root / "requirements.lock").read_text(encoding="utf-8"))
    extra = " ".join(locked_without_deps((root / "requirements.lock").read_text(encoding="utf-8")))
    lines = [
        "# The conda door to the environment of requirements.lock:",
        "#   conda env create -f environment.yml && conda activate labelsplat",
        f"#   pip install --no-deps {extra}",
        "#   pip install --no-deps --no-build-isolation -e .",
        "# Then: python -m labelsplat check && dvc repro && python -m labelsplat finish",
        "# Written by: python -m labelsplat.report.environment conda",
        "name: labelsplat",
        "channels: [conda-forge]",
        "dependencies:",
        "  - python=3.11",
        "  - pip",
        "  - pip:",
        "      - --constraint requirements.lock",
    ]
    lines += [f"      - {name}=={pins[normalised(name)]}" for name in _direct(root)]
    return "\n".join(lines) + "\n"


def _freeze(root: Path) -> None:
    """Rewrite the pins of requirements.lock from ``.venv``, its comments kept."""
    path = root / "requirements.lock"
    text = path.read_text(encoding="utf-8")
    command = [str(root / ".venv/bin/python"), "-m", "pip", "list", "--format=freeze"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    without = {normalised(r.split("==")[0]) for r in locked_without_deps(text)}
    left_out = without | {"pip", "wheel", "labelsplat"}
    # A local suffix (2.13.0+cpu) names a build that other machines cannot get.
    pins = [line.split("+")[0] for line in found if normalised(line.split("==")[0]) not in left_out]
    head = [line for line in text.splitlines() if line.startswith("#")]
    path.write_text("\n".join([*head, "", *sorted(pins, key=str.lower)]) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> None:
    """``setup`` (default), ``freeze`` (renew the lock) or ``conda`` (renew environment.yml)."""
    root = Path(__file__).resolve().parents[3]
    command = arguments[0] if arguments else "setup"
    if command == "setup":
        set_up(root)
    elif command == "freeze":
        _freeze(root)
    elif command == "conda":
        (root / "environment.yml").write_text(environment_yml(root), encoding="utf-8")
    else:
        raise SystemExit(f"unknown command {command!r}: setup, freeze or conda")


if __name__ == "__main__":
    main(sys.argv[1:])
