"""`gateway.yaml`: sections, paths beside the file, mistakes named."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.gateway.settings import GatewaySettings, model_place, read_gateway
from lineside.errors import ConfigurationError

SHORTEST = "gateway: cell-1\nstore: s3://plant/edge\nstate: state\nroot: 1.root.json\nkey: env:K\n"


def read(folder: Path, more: str = "") -> GatewaySettings:
    path = folder / "gateway.yaml"
    path.write_text(SHORTEST + more)
    return read_gateway(path)


def test_shortest_settings_listen_on_this_machine_only_and_keep_no_frames(tmp_path: Path) -> None:
    settings = read(tmp_path)
    assert (settings.http.host, settings.writer, settings.window, settings.mqtt) == ("127.0.0.1", None, None, None)


def test_model_is_one_of_those_that_come_with_the_release_or_a_path_beside_the_file(tmp_path: Path) -> None:
    settings = read(tmp_path, "models: [encoders]\nencoders: {joint: own/joint}\nwriter: {model: small.gguf}\n")
    assert settings.encoders is not None
    assert settings.writer is not None
    assert (settings.encoders.text, settings.encoders.joint) == ("encoders", str(tmp_path / "own" / "joint"))
    assert settings.writer.model == str(tmp_path / "small.gguf")


def test_paths_of_all_sections_are_taken_from_the_folder_of_the_file(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        "ca: ca.pem\n"
        "routing: {cluster: ['https://plant.example'], ca: plant.pem}\n"
        "mqtt: {broker: 'mqtts://broker', ca: mqtt.pem, certificate: c.pem, key: c.key}\n",
    )
    assert settings.routing is not None
    assert settings.mqtt is not None
    found = (settings.ca, settings.state, settings.routing.ca, settings.mqtt.certificate)
    assert found == tuple(tmp_path / name for name in ("ca.pem", "state", "plant.pem", "c.pem"))


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("http: {port: 70000}", r"http\.port"),
        ("encoders: {theads: 2}", r"encoders\.theads"),
        ("window: {hours: 0}", r"window\.hours"),
        ("writer: {prompt_chars: 1}", r"writer\.prompt_chars"),
    ],
)
def test_mistake_is_named_by_its_section_and_field(tmp_path: Path, line: str, name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        read(tmp_path, line)


def test_model_that_is_nowhere_is_said_with_what_to_do(tmp_path: Path) -> None:
    assert model_place("writer", {"writer": tmp_path}) == tmp_path
    with pytest.raises(ConfigurationError, match="name it in `models`"):
        model_place("writer", {})
