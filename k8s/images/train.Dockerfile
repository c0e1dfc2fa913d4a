# Every step of the training pipelines: torch with CUDA, kfp, and the embedded Triton of the parity gate in /opt/triton.
ARG CUDA_BASE

FROM ${CUDA_BASE} AS python
# The base is pinned by digest; its distribution's Python takes security updates. Triton's backends load its library.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && apt-get install --yes --no-install-recommends "libpython$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')" \
    && rm -rf /var/lib/apt/lists/*

FROM python AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-pip \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY k8s/images/build.lock k8s/images/train.lock k8s/images/triton-runtime.lock ./
# Wheels first: what an index has only as source is built with the locked tools, and nothing else is downloaded.
RUN python3 -m venv --without-pip /opt/build \
    && python3 -m pip --python /opt/build/bin/python install --no-cache-dir --require-hashes --no-deps -r build.lock \
    && python3 -m pip --python /opt/build/bin/python wheel --no-cache-dir --require-hashes --no-deps \
        --no-build-isolation --wheel-dir wheels -r train.lock
COPY pyproject.toml README.md ./
COPY stmae stmae
RUN python3 -m pip --python /opt/build/bin/python wheel --no-cache-dir --no-index --no-deps \
        --no-build-isolation --wheel-dir wheels . \
    && python3 -m venv --without-pip /opt/stmae \
    && python3 -m pip --python /opt/stmae/bin/python install --no-cache-dir --no-index --no-deps wheels/*.whl \
    && python3 -m venv --without-pip /opt/triton \
    && python3 -m pip --python /opt/triton/bin/python install --no-cache-dir --require-hashes --no-deps \
        --only-binary :all: -r triton-runtime.lock \
    && /opt/stmae/bin/python -m stmae.serving.triton.runtime /opt/triton

FROM python
# Libraries look the account's name up.
RUN useradd --uid 65532 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin stmae
COPY --from=build /opt/triton /opt/triton
COPY --from=build /opt/stmae /opt/stmae
# The root file system may be read-only; /tmp is a mount, and caches go there. A training that is tried again resumes.
ENV PATH=/opt/stmae/bin:${PATH} \
    HOME=/tmp \
    TMPDIR=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    STMAE_CHECKPOINTS=/models/checkpoints \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /tmp
# Kubeflow gives each step a command of its own: sh, and python3 -m kfp.dsl.executor_main.
ENTRYPOINT ["stmae"]
ARG CUDA_BASE
ARG REVISION
ARG VERSION
ARG LICENCE
LABEL org.opencontainers.image.title="stmae-train" \
      org.opencontainers.image.description="The steps of the training pipelines" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="${LICENCE}" \
      org.opencontainers.image.base.name="${CUDA_BASE}"
