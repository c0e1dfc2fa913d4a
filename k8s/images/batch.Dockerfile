# The nightly job, and the sidecar that keeps a Triton at what is promoted. There is no torch in it.
ARG PYTHON_BASE

FROM ${PYTHON_BASE} AS build
WORKDIR /build
COPY k8s/images/build.lock k8s/images/batch.lock ./
# Wheels first: what an index has only as source is built with the locked tools, and nothing else is downloaded.
RUN python3 -m venv --without-pip /opt/build \
    && python3 -m pip --python /opt/build/bin/python install --no-cache-dir --require-hashes --no-deps -r build.lock \
    && python3 -m pip --python /opt/build/bin/python wheel --no-cache-dir --require-hashes --no-deps \
        --no-build-isolation --wheel-dir wheels -r batch.lock
COPY pyproject.toml README.md ./
COPY stmae stmae
RUN python3 -m pip --python /opt/build/bin/python wheel --no-cache-dir --no-index --no-deps \
        --no-build-isolation --wheel-dir wheels . \
    && python3 -m venv --without-pip /opt/stmae \
    && python3 -m pip --python /opt/stmae/bin/python install --no-cache-dir --no-index --no-deps wheels/*.whl

FROM ${PYTHON_BASE}
# The base's installers go. The account has a name because libraries look it up.
RUN python3 -c "import importlib.util as u, shutil; [shutil.rmtree(s.submodule_search_locations[0]) for n in ('pip', 'ensurepip', 'setuptools', 'wheel') if (s := u.find_spec(n))]" \
    && useradd --uid 65532 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin stmae
COPY --from=build /opt/stmae /opt/stmae
# The root file system may be read-only; /tmp is a mount. Unasked, Ray would tell its maker how it is used.
ENV PATH=/opt/stmae/bin:${PATH} \
    HOME=/tmp \
    TMPDIR=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["stmae"]
ARG PYTHON_BASE
ARG REVISION
ARG VERSION
ARG LICENCE
LABEL org.opencontainers.image.title="stmae-batch" \
      org.opencontainers.image.description="Scores archived footage against a served model, every night" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="${LICENCE}" \
      org.opencontainers.image.base.name="${PYTHON_BASE}"
