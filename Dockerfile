# CPU:  docker build -t s2g . && docker run --rm -v $PWD/outputs:/s2g/outputs s2g demo
# CUDA: docker build -t s2g:cuda --build-arg TORCH= . && docker run --rm --gpus all s2g:cuda doctor
# To keep stored samples and downloaded weights: -v $PWD/runs:/s2g/runs -v ~/.cache/huggingface:/root/.cache/huggingface
FROM python:3.11-slim-bookworm
# "cpu", or "" for the pinned build with CUDA's libraries (the host brings the driver)
ARG TORCH=cpu
# make and git run the targets; libglib2.0-0 and libgl1 are what opencv of some scorers loads
RUN apt-get update && apt-get install -y --no-install-recommends make git libgl1 libglib2.0-0 && rm -rf /var/lib/apt/lists/*
WORKDIR /s2g
# the pins first: a change of the code does not install them again
COPY Makefile pyproject.toml requirements.lock README.md LICENSE NOTICE.md ./
COPY s2g/__init__.py s2g/__init__.py
COPY configs configs
RUN make setup TORCH=$TORCH
COPY . .
ENV PATH=/s2g/.venv/bin:$PATH
ENTRYPOINT ["s2g"]
CMD ["doctor"]
