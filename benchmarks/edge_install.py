"""What a gateway installs: `lineside[edge]` in an environment of its own, its size, and a question answered there.

`python -m benchmarks.edge_install` resolves the extra within requirements/lock.txt, installs it into a fresh virtual
environment in a temporary folder, prints the size of every package, and answers a question from the demo's knowledge
with the encoders that `make models` exported. Nothing that the lock leaves out is installed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.report import table

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = ("lineside", "webapi", "edge", "ingest")
ABSENT = ("torch", "transformers", "ray", "vllm")
ASK = """
import asyncio, sys, time
begun = time.perf_counter()
from pathlib import Path
import edge.command, edge.sync, edge.trust.publishing, webapi.app, xllamacpp
from lineside.local import LocalApplication
from lineside.schema import AnswerRequest
with LocalApplication.load(Path(sys.argv[1]), text_model="encoders", joint_model="encoders") as application:
    async def ask():
        request = AnswerRequest(question=sys.argv[2], mode="extract")
        deadline = application.answerer.deadline(request)
        return await application.answerer.answer(request, None, request_id="1", deadline=deadline)
    print(f"ready {time.perf_counter() - begun:.1f} s after the first import; {sys.argv[2]}")
    print(asyncio.run(ask()).text)
loaded = [name for name in sys.argv[3:] if name in sys.modules]
sys.exit(f"loaded: {loaded}" if loaded else 0)
"""


def pins(lock: Path) -> dict[str, str]:
    """Name → `name==version` of every pin."""
    found = re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return {canonicalize_name(name): f"{name}=={version}" for name, version in found}


def closure(wanted: Iterable[Requirement], locked: dict[str, str]) -> list[str]:
    """The pins that these requirements lead to, as the packages installed here declare theirs."""
    todo, seen = list(wanted), set[tuple[str, frozenset[str]]]()
    while todo:
        requirement = todo.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen or key[0] not in locked:
            continue
        seen.add(key)
        for declared in importlib.metadata.requires(requirement.name) or ():
            needed = Requirement(declared)
            extras = ("", *requirement.extras)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                todo.append(needed)
    return sorted({locked[name] for name, _ in seen})


def extra_of_project(extra: str) -> list[Requirement]:
    """What pyproject.toml asks for with this extra."""
    import tomllib

    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [Requirement(text) for text in (*project["dependencies"], *project["optional-dependencies"][extra])]


def install(folder: Path, packages: list[str]) -> Path:
    """A fresh environment with these pins and this project's own packages; its site-packages."""
    venv.create(folder, with_pip=False)
    command = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    subprocess.run(
        [*command, "install", "--no-deps", "-qq", "--disable-pip-version-check", *packages],
        check=True,
        timeout=1800,
    )
    site = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    for package in PACKAGES:
        shutil.copytree(REPOSITORY / package, site / package, ignore=shutil.ignore_patterns("__pycache__"))
    return site


def mebibytes(path: Path) -> float:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 2**20


def sizes(site: Path) -> dict[str, float]:
    """MiB by package as installed, without compiled byte code; those below 1 MiB together."""
    found: dict[str, float] = {}
    for distribution in importlib.metadata.distributions(path=[str(site)]):
        files = (Path(str(file.locate())) for file in distribution.files or () if file.suffix != ".pyc")
        found[distribution.metadata["Name"]] = sum(file.stat().st_size for file in files if file.is_file()) / 2**20
    found["lineside itself"] = sum(mebibytes(site / package) for package in PACKAGES)
    small = {name: size for name, size in found.items() if size < 1}
    large = {name: size for name, size in found.items() if size >= 1}
    return {**dict(sorted(large.items(), key=lambda item: -item[1])), f"{len(small)} smaller ones": sum(small.values())}


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.edge_install", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("LINESIDE_HOME") or ".lineside"))
    parser.add_argument("--question", default="How hot may the bearing of the main drive motor become?")
    options = parser.parse_args()
    packages = closure(extra_of_project("edge"), pins(REPOSITORY / "requirements" / "lock.txt"))
    with tempfile.TemporaryDirectory(prefix="lineside-edge-") as temporary:
        folder = Path(temporary) / "venv"
        print(f"installing {len(packages)} packages into a fresh environment ...", flush=True)
        site = install(folder, packages)
        by_package = sizes(site)
        print(table(["package", "MiB"], [[name, f"{size:.1f}"] for name, size in by_package.items()]))
        print(f"together: {sum(by_package.values()):.0f} MiB")
        asked = subprocess.run(
            [str(folder / "bin" / "python"), "-c", ASK, str(options.home.absolute()), options.question, *ABSENT],
            cwd=temporary,
            env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
            check=False,
            timeout=300,
        )
    return asked.returncode


if __name__ == "__main__":
    sys.exit(main())
