"""Pipeline step that registers published versions in a Kubeflow Model Registry."""

from kfp import dsl

from components.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def register(versions: list, models: str, registry: str):
    """Registers each version under the name of its deployment. A version that is registered already stays as it is.

    Args:
        versions: The published versions, each with `deployment` and `version`.
        models: URI of the models store.
        registry: Address of the Model Registry's REST service, http://host:port.
    """
    from stmae.serving.models import load
    from stmae.serving.registry import Registry
    from stmae.storage import open_store

    store = open_store(models)
    for each in versions:
        version = load(store, each["deployment"], each["version"])
        Registry(registry).register(version, store.uri(version.folder))
