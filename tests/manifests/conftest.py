from __future__ import annotations

import pytest

from k8s.check.render import RenderError, require_kubectl


@pytest.fixture(autouse=True, scope="session")
def kubectl() -> None:
    """The kustomize that is part of kubectl renders the manifests; no package of Python brings one."""
    try:
        require_kubectl()
    except RenderError as error:
        pytest.skip(str(error))
