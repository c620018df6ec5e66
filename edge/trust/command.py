"""`lineside keys` and `lineside publish`: the publisher's side on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lineside.errors import DataError, LinesideError

if TYPE_CHECKING:
    from edge.messaging.settings import MqttSettings

keys = typer.Typer(no_args_is_help=True, help="The keys that gateways trust: make, change and show them.")


class Provider(StrEnum):
    """Where private keys are kept."""

    file = "file"
    tpm = "tpm"
    kms = "kms"


class RoleName(StrEnum):
    """A role of the repository."""

    root = "root"
    targets = "targets"
    shards = "shards"
    models = "models"
    fleet = "fleet"
    snapshot = "snapshot"
    timestamp = "timestamp"


Folder = Annotated[Path, typer.Option("--keys", help="the keyring's folder", envvar="LINESIDE_KEYS")]
Protect = Annotated[Provider, typer.Option(help="where private keys are kept")]
KmsKey = Annotated[str, typer.Option(help="alias or ARN of the AWS KMS key that encrypts private keys")]


@keys.command()
def init(
    folder: Folder = Path("keys"),
    root_keys: Annotated[int, typer.Option(min=1, max=20, help="root keys made")] = 3,
    threshold: Annotated[int, typer.Option(min=1, max=20, help="root keys that must sign")] = 2,
    protect: Protect = Provider.file,
    kms_key: KmsKey = "",
    timestamp_days: Annotated[float, typer.Option(min=0.01, help="how long gateways may be kept back unnoticed")] = 1,
    snapshot_days: Annotated[float, typer.Option(min=0.01)] = 7,
    shards_days: Annotated[float, typer.Option(min=0.01)] = 90,
) -> None:
    """Make a keyring: keys of every role, and the first root and targets metadata."""
    from edge.trust import ceremony
    from edge.trust.keyring import Expiry, Keyring

    expiry = Expiry(timestamp=timestamp_days, snapshot=snapshot_days, shards=shards_days)
    with _errors():
        keyring = Keyring.create(
            folder,
            root_keys=root_keys,
            root_threshold=threshold,
            provider=protect.value,
            kms_key=kms_key,
            expiry=expiry,
        )
        ceremony.initialise(keyring)
    typer.echo(f"keyring in {folder}: {root_keys} root keys, of which {threshold} must sign")
    typer.echo(f"gateways are installed with {folder}/metadata/1.root.json")
    typer.echo(f"now move {folder}/root-*.key to media that are kept apart; bring {threshold} of them to rotate keys")


@keys.command()
def rotate(
    role: Annotated[RoleName, typer.Argument(help="whose key is replaced")],
    number: Annotated[int, typer.Option(min=1, help="which of the role's keys")] = 1,
    folder: Folder = Path("keys"),
    protect: Protect = Provider.file,
    kms_key: KmsKey = "",
) -> None:
    """Replace a key. Gateways follow at the next `lineside publish`."""
    from edge.trust import ceremony
    from edge.trust.keyring import Keyring

    with _errors():
        written = ceremony.rotate(Keyring.open(folder), role.value, number, protect.value, kms_key)
    typer.echo(f"{role.value}: key {number} replaced; wrote {', '.join(written)}. Now: lineside publish")


@keys.command()
def renew(folder: Folder = Path("keys")) -> None:
    """Sign root and targets metadata again, which moves their expiry."""
    from edge.trust import ceremony
    from edge.trust.keyring import Keyring

    with _errors():
        written = ceremony.renew(Keyring.open(folder))
    typer.echo(f"wrote {', '.join(written)}. Now: lineside publish --refresh")


@keys.command()
def show(folder: Folder = Path("keys")) -> None:
    """Show every role's keys, whether their private parts are here, and when metadata expires."""
    from edge.trust import ceremony
    from edge.trust.keyring import ROLES, Keyring

    with _errors():
        keyring = Keyring.open(folder)
        expires = {"root": ceremony.root(keyring).expires, "targets": ceremony.targets(keyring).expires}
        for role in ROLES:
            until = f", signed until {expires[role]:%Y-%m-%d}" if role in expires else ""
            needed = f", {keyring.root_threshold} must sign" if role == "root" else ""
            typer.echo(f"{role}: valid {getattr(keyring.expiry, role):g} days{needed}{until}")
            for number, record in enumerate(keyring.keys(role), 1):
                try:
                    keyring.signer(record)
                    state = "here"
                except LinesideError as error:
                    state = f"not here: {error}"
                typer.echo(f"  {number}  {record.id[:16]}  {record.secret}  {state}")


@keys.command()
def gateway(
    name: Annotated[str, typer.Argument(help="the gateway's name")],
    out: Annotated[Path, typer.Option(help="where its private key is kept")] = Path("gateway.key"),
    protect: Protect = Provider.file,
    kms_key: KmsKey = "",
) -> None:
    """Make a gateway's key, on the gateway: the private part stays there. Prints the line for `publish --gateways`."""
    from edge.trust.keyring import new_gateway_key

    with _errors():
        reference, identity = new_gateway_key(name, out, protect.value, kms_key)
    typer.echo(f"key: {reference}   # for gateway.yaml")
    typer.echo(f"{name}: {{public_key: {identity.public_key}, report_key: {identity.report_key}}}   # for fleet.yaml")


def publish(
    store: Annotated[str, typer.Option(help="folder or s3://bucket/prefix with the releases", envvar="LINESIDE_STORE")],
    fleet: Annotated[
        Path | None,
        typer.Option("--fleet", "--gateways", help="fleet.yaml: gateways, their public keys, what they hold"),
    ] = None,
    release: Annotated[
        int | None, typer.Option(min=1, help="release to publish; the current one when left out")
    ] = None,
    folder: Folder = Path("keys"),
    to: Annotated[str | None, typer.Option(help="store that gateways read, when it is another one")] = None,
    model: Annotated[list[str] | None, typer.Option(help="NAME=PATH of a model; all models, or none at all")] = None,
    cache: Annotated[Path, typer.Option(help="where shards of a remote store are copied to")] = Path(".lineside/cache"),
    refresh: Annotated[bool, typer.Option(help="only sign again what is published, before it expires")] = False,
    keep: Annotated[int | None, typer.Option(min=1, help="publications that the store keeps; all if left out")] = None,
    new_epoch: Annotated[bool, typer.Option(help="new data keys: everything is sent anew")] = False,
    start_over: Annotated[
        bool, typer.Option(help="believe nothing that the store holds; name all models again")
    ] = False,
    notify: Annotated[
        str | None, typer.Option(help="mqtts://broker that tells the gateways at once", envvar="LINESIDE_NOTIFY")
    ] = None,
    notify_ca: Annotated[Path | None, typer.Option(help="who signed the broker's certificate (PEM)")] = None,
    notify_certificate: Annotated[Path | None, typer.Option(help="the publisher's certificate (PEM)")] = None,
    notify_key: Annotated[Path | None, typer.Option(help="its private key (PEM)")] = None,
    notify_prefix: Annotated[str, typer.Option(help="what the plant's topics begin with")] = "lineside",
) -> None:
    """Sign and seal a release for the gateways: they take it at their next look."""
    from edge.fleet.placement import place, recipients
    from edge.fleet.settings import read_fleet
    from edge.trust.keyring import Keyring
    from edge.trust.pruning import prune
    from edge.trust.publishing import publish_release
    from edge.trust.repository import TrustRepository
    from lineside.objects import open_store
    from lineside.releases import Catalogue
    from lineside.releases.cache import places_for
    from lineside.releases.settings import CacheSettings

    broker = _broker(notify, notify_ca, notify_certificate, notify_key, notify_prefix)
    with _errors():
        repository = TrustRepository(open_store(to or store), Keyring.open(folder))
        if refresh:
            versions = repository.publish({})
            typer.echo(f"signed again: timestamp {versions.timestamp}, snapshot {versions.snapshot}")
            return
        if fleet is None:
            raise typer.BadParameter("say who may read it: --fleet FILE")
        settings = read_fleet(fleet)
        releases = open_store(store)
        catalogue = Catalogue(releases)
        chosen = catalogue.current() if release is None else catalogue.get(release)
        places = places_for(releases, CacheSettings(folder=cache)).fetch(chosen)
        folders = {shard.family: places[shard.id] for shard in chosen.shards}
        if len(folders) < len(chosen.shards):
            raise DataError(f"release {chosen.number} has families with several shards: gateways take one a family")
        placement = place(settings, {family: _size_mib(path) for family, path in folders.items()})
        published = publish_release(
            repository,
            folders,
            recipients(settings, placement),
            release=chosen.number,
            staged=settings.rollout is not None,
            models=None if model is None else dict(map(_model, model)),
            new_epoch=new_epoch,
            start_over=start_over,
        )
    for moved in published.moved:
        fresh = "  new data key" if moved.name in published.new_epochs else ""
        typer.echo(
            f"  {moved.name:24s} {moved.new_bytes / 2**20:8.2f} MiB new of {moved.total_bytes / 2**20:8.2f} MiB{fresh}"
        )
    typer.echo(f"release {published.release} is publication {published.publication} in {repository.store.url}")
    for family, why in placement.short.items():
        typer.echo(f"  {family}: {why}")
    if settings.rollout is not None:
        typer.echo("gateways stay on what they have until: lineside fleet rollout")
    if keep is not None:
        with _errors():
            pruned = prune(repository, keep=keep)
        typer.echo(f"removed {pruned.objects} objects of past publications, {pruned.bytes / 2**20:.2f} MiB")
    if broker is not None:
        _tell(broker, published.publication)


def _broker(
    url: str | None, ca: Path | None, certificate: Path | None, key: Path | None, prefix: str
) -> MqttSettings | None:
    """Checked before anything is published."""
    if url is None:
        return None
    from pydantic import ValidationError

    from edge.messaging.settings import MqttSettings

    try:
        return MqttSettings(broker=url, ca=ca, certificate=certificate, key=key, prefix=prefix)
    except ValidationError as error:
        raise typer.BadParameter(f"--notify: {error.errors(include_url=False)[0]['msg']}") from None


def _tell(broker: MqttSettings, publication: int) -> None:
    """The release is public already: gateways that are not told find it when they look the next time."""
    from edge.messaging.notice import announce

    try:
        announce(broker, publication)
    except LinesideError as error:
        typer.echo(f"warning: gateways were not told, and find it at their next look: {error}", err=True)
    else:
        typer.echo(f"told {broker.broker}")


def _model(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals or not Path(path).exists():
        raise typer.BadParameter(f"{text}: give NAME=PATH of a file or folder that exists")
    return name, Path(path)


def _size_mib(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except LinesideError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
