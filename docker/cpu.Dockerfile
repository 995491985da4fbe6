# docker build -f docker/cpu.Dockerfile -t sensorfusion .
# docker run --shm-size=2g -v /path/to/data:/data sensorfusion ./quickstart
FROM debian:bookworm-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates git python3.11 python3.11-venv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home user

# The index of PyTorch's CPU builds; without it the larger CUDA build is installed, which works too:
# --build-arg PIP_EXTRA_INDEX_URL=...
ARG PIP_EXTRA_INDEX_URL=

USER user
WORKDIR /home/user/sensorfusion
COPY --chown=user . .
ENV PIP_NO_CACHE_DIR=1 SENSORFUSION_DATA=/data
RUN ./quickstart --setup-only

CMD ["./test"]
