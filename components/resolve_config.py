"""Pipeline step that turns the parameters of a run into a checked configuration."""

from typing import NamedTuple

from kfp import dsl

from components.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def resolve_config(
    dataset: str,
    config_toml: str,
    overrides: str,
    seed: int,
    steps: int,
    study: str,
    seeds: str,
    data_root: str,
    data_version: str,
) -> NamedTuple("Resolved", [("config", str), ("data_version", str)]):
    """Fails at once, and names the valid choices, where a later step could not use what was asked for.

    Args:
        dataset: Name of a shipped configuration.
        config_toml: Text of a configuration of one's own, used instead of `dataset` unless empty.
        overrides: Values of the configuration as "a.b=c a.b=c", quoted as in a shell.
        seed: Seed of the run; negative for the configuration's own.
        steps: Steps of the training (`train.steps`); 0 for the configuration's own.
        study: Name of a study whose variants are checked too; empty for none.
        seeds: Seeds of the study, as "1 2 3".
        data_root: Folder, or s3:// URI, of the footage.
        data_version: Any string that changes with the footage; empty to take it from names, sizes and times of the
            files, or ETags of the objects, in `data_root`.

    Returns:
        The resolved configuration as JSON, and the version of the footage.
    """
    import shlex
    import tempfile
    from pathlib import Path

    from stmae import config
    from stmae.datasets.download import listing_digest
    from stmae.datasets.readers import resolve
    from stmae.evaluation.study import parse_seeds, variants

    given = shlex.split(overrides)
    given += [f"seed={int(seed)}"] if seed >= 0 else []
    given += [f"train.steps={int(steps)}"] if steps > 0 else []
    with tempfile.TemporaryDirectory() as folder:
        source = dataset
        if config_toml:
            source = f"{folder}/config.toml"
            Path(source).write_text(config_toml, encoding="utf-8")
        resolved = resolve(config.load(source, given))
    if study:
        variants(resolved, study, parse_seeds(seeds))
    return resolved.to_json(), data_version or listing_digest(data_root)
