# Two images from one file: `serve` (API, CPU workers, beat) and `gpu` (a worker with TensorFlow).
# Never built where this project is developed: there is no Docker engine there (docs/operations.md).

FROM python:3.12-slim AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
# The user and the data folder come first: they never change.
RUN useradd --system --uid 10001 --create-home lookbook && install -d -o lookbook /data
ENV LOOKBOOK_HOME=/data

FROM base AS serve
COPY requirements/serve.txt requirements/
RUN pip install --require-hashes -r requirements/serve.txt
COPY . .
RUN pip install --no-build-isolation --no-deps -e .
USER lookbook
VOLUME /data
EXPOSE 8000
CMD ["lookbook", "api"]

FROM base AS gpu
COPY requirements/serve.txt requirements/train.txt requirements/
RUN pip install --require-hashes -r requirements/train.txt
# The CUDA libraries that this TensorFlow was built with; their versions are TensorFlow's own choice.
RUN pip install "tensorflow[and-cuda]==$(pip show tensorflow | sed -n 's/^Version: //p')"
COPY . .
RUN pip install --no-build-isolation --no-deps -e .
USER lookbook
VOLUME /data
CMD ["lookbook", "worker"]
