"""demo/prepare_models.py: steps are skipped when done, repeated when damaged, and leave nothing half made."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from demo import prepare_models
from demo.prepare_models import Step, prepare
from lineside.errors import ConfigurationError, DataError, IntegrityError


def writes_two_files(folder: Path) -> None:
    (folder / "inner").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "inner" / "weights").write_bytes(b"w" * 100)


def step_into(models: Path, fingerprint: str = "one") -> Step:
    return Step("model", models / "model", fingerprint, "writing", writes_two_files)


def test_step_is_done_only_after_it_ran(tmp_path: Path) -> None:
    step = step_into(tmp_path)
    assert not step.is_done()
    step.run()
    assert step.is_done()


def test_step_is_not_done_when_its_inputs_changed(tmp_path: Path) -> None:
    step_into(tmp_path, "one").run()
    assert not step_into(tmp_path, "two").is_done()


@pytest.mark.parametrize("damage", ["truncated", "deleted", "marker emptied"])
def test_step_is_not_done_when_its_files_are_damaged(tmp_path: Path, damage: str) -> None:
    step = step_into(tmp_path)
    step.run()
    weights = step.target / "inner" / "weights"
    if damage == "truncated":
        weights.write_bytes(b"w" * 99)
    elif damage == "deleted":
        weights.unlink()
    else:
        step.marker.write_text("")
    assert not step.is_done()
    step.run()
    assert step.is_done()


def test_step_replaces_an_older_model_completely(tmp_path: Path) -> None:
    step = step_into(tmp_path)
    step.target.mkdir()
    (step.target / "stale").write_text("from an older version")
    step.run()
    assert not (step.target / "stale").exists()


def test_failing_step_leaves_neither_model_nor_temporary_files(tmp_path: Path) -> None:
    def fails_halfway(folder: Path) -> None:
        writes_two_files(folder)
        raise DataError("halfway")

    step = Step("model", tmp_path / "model", "one", "failing", fails_halfway)
    with pytest.raises(DataError):
        step.run()
    assert list(tmp_path.iterdir()) == []


def test_single_file_keeps_its_marker_beside_it(tmp_path: Path) -> None:
    step = Step(
        "model.gguf", tmp_path / "model.gguf", "one", "writing", lambda target: target.write_bytes(b"x") and None
    )
    step.run()
    assert step.is_done()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.gguf", "model.gguf.complete"]


def test_copy_refuses_a_file_that_differs_from_its_package_record(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"weights")
    recorded = base64.urlsafe_b64encode(hashlib.sha256(b"weights").digest()).rstrip(b"=").decode()
    prepare_models._copy_verified(source, recorded, tmp_path / "copy")
    source.write_bytes(b"altered")
    with pytest.raises(IntegrityError, match="reinstall"):
        prepare_models._copy_verified(source, recorded, tmp_path / "copy")


def test_absent_package_is_named_with_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=r"no-such-weights .*make setup"):
        prepare_models._package_files("no-such-weights", "model/")


def test_unknown_model_is_refused_with_the_names_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        prepare_models.main(["gpt"])
    assert "minilm" in capsys.readouterr().err


def test_prepared_models_are_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare_models, "STEPS", {"model": lambda models: step_into(models)})
    prepare(tmp_path, ("model",))
    made = (tmp_path / "model" / "config.json").stat().st_mtime_ns
    prepare(tmp_path, ("model",))
    assert (tmp_path / "model" / "config.json").stat().st_mtime_ns == made
    assert capsys.readouterr().out.endswith("[1/1] model: ready\n")


@pytest.mark.slow
def test_minilm_loads_with_transformers_alone(models_dir: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(models_dir / "minilm")(["bearing temperature"], return_tensors="pt")
    with torch.inference_mode():
        hidden = AutoModel.from_pretrained(models_dir / "minilm")(**tokens).last_hidden_state
    assert hidden.shape[-1] == 384


@pytest.mark.slow
def test_smollm2_is_bfloat16_answers_a_chat_and_stops(models_dir: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(models_dir / "smollm2")
    model = AutoModelForCausalLM.from_pretrained(models_dir / "smollm2", dtype="auto")
    chat = [{"role": "user", "content": "The bearing limit is 95 degrees Celsius. What is the bearing limit?"}]
    prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.inference_mode():
        output = model.generate(**prompt, max_new_tokens=40, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert model.dtype == torch.bfloat16
    assert "95 degrees" in tokenizer.decode(output)
    assert output[-1] == tokenizer.eos_token_id
