# The model server: NVIDIA's release of the version that is embedded, with no backend but onnxruntime.
ARG TRITON_BASE

FROM ${TRITON_BASE}
USER 0:0
# Without the python backend nothing that lies in a model repository runs as Python.
RUN find /opt/tritonserver/backends -mindepth 1 -maxdepth 1 ! -name onnxruntime -exec rm -rf {} + \
    && test -f /opt/tritonserver/backends/onnxruntime/libtriton_onnxruntime.so
ENV HOME=/tmp \
    TMPDIR=/tmp
USER 65532:65532
WORKDIR /tmp
# No shell and no start script of the base: they write below the root.
ENTRYPOINT ["/opt/tritonserver/bin/tritonserver"]
# The sidecar (`stmae serve-models`) writes /models and loads what it wrote.
CMD ["--model-repository=/models", \
     "--model-control-mode=explicit", \
     "--load-model=*", \
     "--disable-auto-complete-config", \
     "--exit-timeout-secs=10"]
ARG TRITON_BASE
ARG REVISION
ARG VERSION
ARG LICENCE
LABEL org.opencontainers.image.title="stmae-triton" \
      org.opencontainers.image.description="Triton with the onnxruntime backend only" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="${LICENCE}" \
      org.opencontainers.image.base.name="${TRITON_BASE}"
