"""`fleet.yaml`: what it may say, and what is said where it cannot work."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.fleet.settings import read_fleet
from edge.pieces import GatewayIdentity
from lineside.errors import ConfigurationError

KEY = GatewayIdentity("cell-1", bytes(32)).public_key
GATEWAY = f"gateways: {{cell-1: {{public_key: {KEY}, cell: hall}}}}\n"


def test_shortest_file_names_gateways_and_keys(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(f"gateways: {{cell-1: {{public_key: {KEY}}}}}\n")
    fleet = read_fleet(tmp_path / "fleet.yaml")
    assert (fleet.replication, fleet.rollout, fleet.replicas("pump")) == (2, None, 2)


def test_paths_of_certificates_belong_to_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(GATEWAY + "reports: {mqtt: {broker: 'mqtts://broker', ca: ca.pem}}\n")
    mqtt = read_fleet(tmp_path / "fleet.yaml").reports.mqtt
    assert mqtt is not None
    assert mqtt.ca == tmp_path / "ca.pem"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("gateways: {cell-1: {public_key: abc}}", "cell-1"),
        ("gateways: {publisher: {public_key: abc}}", "publisher"),
        ("gateways: {../x: {public_key: abc}}", "gateways"),
        ("gates: {}", "gateways"),
        ("[", "cannot be read"),
        (f"gateways: {{a: {{public_key: {KEY}}}, a: {{public_key: {KEY}}}}}", "a stands here twice"),
        (f"gateways: {{a: {{public_key: {KEY}, report_key: abc}}}}", "report key of gateway a"),
        (GATEWAY + "cells: [yard]", "cell hall"),
        (GATEWAY + "cameras: {eye: {cell: yard, family: pump}}", "camera eye stands in cell yard"),
        (GATEWAY + "rollout: {canaries: [cell-9]}", "canary cell-9"),
        (GATEWAY + "rollout: {waves: [1.5]}", "rollout.waves"),
        (GATEWAY + "rollout: {soak: 3}", "rollout.soak"),
        (GATEWAY + "reports: {mqtt: {broker: 'http://x'}}", "mqtts"),
        (GATEWAY + "replication: 0", "replication"),
    ],
)
def test_what_cannot_work_is_said(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=reason):
        read_fleet(path)
