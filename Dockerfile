# The demo on 7860 and TensorBoard on 6006, and every command of sr:
#   docker build -t sr .                                # CPU; with CUDA: --build-arg TORCH_INDEX=https://pypi.org/simple
#   docker run -p 127.0.0.1:7860:7860 -p 127.0.0.1:6006:6006 -v "$PWD/runs:/work/runs" sr
#   docker run -v "$PWD:/work" --user "$(id -u)" sr python -m sr.train data=isr data.root=DIR
FROM python:3.11-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 HOME=/tmp

WORKDIR /build
COPY constraints.txt ./
RUN pip install --index-url "$TORCH_INDEX" "$(grep '^torch==' constraints.txt)"
COPY pyproject.toml README.md LICENSE ./
COPY conf conf
COPY src src
RUN pip install -c constraints.txt '.[demo,onnx]' && pip install -c constraints.txt --no-deps spandrel einops \
    && useradd --uid 1000 sr && install -d -o 1000 /work/runs

USER 1000
WORKDIR /work
EXPOSE 7860 6006
CMD ["sh", "-c", "tensorboard --logdir runs --host 0.0.0.0 --port 6006 & exec sr demo --host 0.0.0.0"]
