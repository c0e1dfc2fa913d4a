"""What the pipelines ask of one cluster: the site file `k8s/pipelines.toml`, and what they share with the manifests."""

import dataclasses
import os
import re
import tomllib
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar

SITE = Path(os.environ.get("STMAE_SITE") or Path(__file__).parents[1] / "k8s" / "pipelines.toml")
NAME = r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"
"""Pattern of the names of Kubernetes objects."""

T = TypeVar("T")


class SiteError(ValueError):
    """Raised for a site file that cannot be used; the message names the file, the field and the mend."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Toleration:
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    key: str | None = None
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Affinity:
    """Nodes with a label, required, or preferred with a weight from 1 to 100."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: list[str] = dataclasses.field(default_factory=list)
    weight: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Nodes:
    """Which nodes a pod may be placed on."""

    node_selector: dict[str, str] = dataclasses.field(default_factory=dict)
    tolerations: list[Toleration] = dataclasses.field(default_factory=list)
    affinity: list[Affinity] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pod(Nodes):
    user: int
    group: int
    labels: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gpu(Nodes):
    type: str
    count: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    deadline_hours: int
    keep_days: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class S3:
    secret: str
    optional: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Signing:
    secret: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Site:
    """The site file, section by section."""

    service_account: str
    kubeflow_api: str
    run: Run
    pod: Pod
    gpu: Gpu
    s3: S3
    signing: Signing = dataclasses.field(default_factory=Signing)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shared:
    """Values of the site that the manifests have too: footage is scored with the models that were published."""

    models: str
    """URI of the models store."""
    s3_endpoint: str
    s3_region: str


def load_shared(path: Path = SITE) -> Shared:
    """Reads `site/site.env` beside a site file. Raises SiteError."""
    values = path.parent / "site" / "site.env"
    try:
        lines = values.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SiteError(f"{values}: cannot be read ({error.strerror}); it lies beside {path.name}") from None
    given = dict(line.partition("=")[::2] for line in lines)
    names = {field.name: field.name.upper() for field in dataclasses.fields(Shared)}
    for name in names.values():
        if not given.get(name):
            raise SiteError(f"{values}: {name}: is empty; docs/cluster.md says what it means")
    return Shared(**{field: given[name] for field, name in names.items()})


def load(path: Path = SITE) -> Site:
    """Reads a site file. Raises SiteError."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SiteError(f"{path}: no such site file; STMAE_SITE names another one") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SiteError(f"{path}: not valid TOML: {error}") from None
    site = _build(Site, table, f"{path}: ")
    if not re.fullmatch(NAME, site.s3.secret):
        mend = (
            "name the Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, e.g. stmae-s3; optional = true if none"
        )
        raise SiteError(f"{path}: s3.secret = {site.s3.secret!r}: {mend}")
    for key, value in (("service_account", site.service_account), ("signing.secret", site.signing.secret)):
        if value and not re.fullmatch(NAME, value):
            raise SiteError(f"{path}: {key} = {value!r}: must be the name of a Kubernetes object, or empty")
    for key, value, least in (
        ("pod.user", site.pod.user, 1),
        ("pod.group", site.pod.group, 1),
        ("gpu.count", site.gpu.count, 1),
        ("run.deadline_hours", site.run.deadline_hours, 1),
        ("run.keep_days", site.run.keep_days, 1),
    ):
        if value < least:
            raise SiteError(f"{path}: {key} = {value}: must be at least {least}")
    return site


def _build(kind: type[T], table: dict[str, Any], where: str) -> T:
    """Makes a dataclass of a table of the file; `where` begins the message of an error."""
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in table:
        if key not in fields:
            raise SiteError(f"{where}{key}: unknown; valid: {', '.join(fields)}")
    for key, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and key not in table:
            raise SiteError(f"{where}{key}: is missing; docs/pipeline.md says what it means")
    return kind(**{key: _value(hints[key], value, where + key) for key, value in table.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    """Returns a value that has the type `hint`; raises SiteError where it has another one."""
    arguments = typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return _build(hint, value, f"{where}.")  # type: ignore[arg-type]
    if type(None) in arguments:
        return _value(arguments[0], value, where)
    if typing.get_origin(hint) is Literal:
        if value in arguments:
            return value
        raise SiteError(f"{where} = {value!r}: must be one of {', '.join(arguments)}")
    if typing.get_origin(hint) is list and isinstance(value, list):
        return [_value(arguments[0], each, f"{where}[{index}]") for index, each in enumerate(value)]
    if typing.get_origin(hint) is dict and isinstance(value, dict):
        return {key: _value(arguments[1], each, f"{where}.{key}") for key, each in value.items()}
    if type(value) is not hint:
        wanted = getattr(typing.get_origin(hint) or hint, "__name__", str(hint))
        raise SiteError(f"{where} = {value!r}: must be of type {'table' if dataclasses.is_dataclass(hint) else wanted}")
    return value
