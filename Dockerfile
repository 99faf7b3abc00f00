# syntax=docker/dockerfile:1
# Installs the client and the server with an extra, and runs `itemlens serve`. `make serving-check` tests the cpu target's install.
#   docker build --target cpu  -t itemlens:cpu  .
#   docker build --target cuda -t itemlens:cuda .
#   docker run -p 127.0.0.1:50051:50051 -v ./models:/models -v itemlens:/data -e ITEMLENS_ALLOW_UNAUTHENTICATED=true itemlens:cpu
# Without keys (docs/security.md) or ITEMLENS_ALLOW_UNAUTHENTICATED the server refuses to start.
# To pin the base by its digest, too: --build-arg PYTHON=3.11.14-slim-bookworm@sha256:...
ARG PYTHON=3.11.14-slim-bookworm

FROM python:${PYTHON} AS build
# hnswlib is compiled. Without this it would be built for the exact processor of the build machine.
ENV HNSWLIB_NO_NATIVE=1
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --no-install-recommends -y g++ \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
COPY pyproject.toml hatch_build.py constraints.txt LICENSE README.md ./
COPY clients ./clients
COPY server ./server
COPY exporter ./exporter

FROM build AS build-cpu
# The two distributions of this checkout, with the versions that CI installs.
RUN pip install --no-cache-dir -c constraints.txt ./clients/python ".[server,tracing]"

FROM build AS build-cuda
RUN pip install --no-cache-dir -c constraints.txt ./clients/python ".[gpu,tracing]"

FROM python:${PYTHON} AS base
RUN useradd --uid 10001 --create-home itemlens \
 && mkdir /data /models \
 && chown 10001 /data \
 && chmod 700 /data
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ITEMLENS_LISTEN=0.0.0.0:50051 \
    ITEMLENS_MODELS=/models \
    ITEMLENS_DATA=/data \
    ITEMLENS_MONITORING=127.0.0.1:9464 \
    ITEMLENS_LOG=json
USER 10001
VOLUME /data
EXPOSE 50051
# It asks ITEMLENS_MONITORING, which needs no certificate. Models may load for minutes.
HEALTHCHECK --interval=30s --timeout=10s --start-period=10m CMD ["itemlens", "health", "--timeout", "5"]
ENTRYPOINT ["itemlens"]
CMD ["serve"]

FROM base AS cuda
ENV ITEMLENS_PROVIDER=cuda \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=build-cuda /venv /venv

FROM base AS cpu
COPY --from=build-cpu /venv /venv
