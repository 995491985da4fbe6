# docker build -f docker/cuda.Dockerfile -t sensorfusion:cuda .
# docker run --gpus all --shm-size=2g -v /path/to/data:/data sensorfusion:cuda ./quickstart
#
# The CUDA libraries come with PyTorch; the host needs only NVIDIA's driver and container toolkit.
FROM debian:bookworm-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates git python3.11 python3.11-venv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home user

USER user
WORKDIR /home/user/sensorfusion
COPY --chown=user . .
ENV PIP_NO_CACHE_DIR=1 SENSORFUSION_DATA=/data \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN ./quickstart --setup-only \
    && .venv/bin/pip install -c constraints.txt -e '.[cuda]'

CMD ["./test"]
