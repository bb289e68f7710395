# This file builds three images: `api` (API and beat), `serve` (all but GPU workers) and `gpu` (a worker with TensorFlow).
# The project's developers have no Docker engine, so they have never built them (docs/operations.md).

FROM python:3.12-slim AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
# The user and the data folder never change, so they come before the layers that do.
RUN useradd --system --uid 10001 --create-home lookbook && install -d -o lookbook /data
ENV LOOKBOOK_HOME=/data

FROM base AS api
COPY requirements/api.txt requirements/
RUN pip install --require-hashes -r requirements/api.txt
COPY . .
RUN pip install --no-build-isolation --no-deps -e .
USER 10001
VOLUME /data
EXPOSE 8000
CMD ["lookbook", "api"]

FROM base AS serve
COPY requirements/serve.txt requirements/
RUN pip install --require-hashes -r requirements/serve.txt
COPY . .
RUN pip install --no-build-isolation --no-deps -e .
USER 10001
VOLUME /data
EXPOSE 8000
CMD ["lookbook", "api"]

FROM base AS gpu
COPY requirements/serve.txt requirements/train.txt requirements/
RUN pip install --require-hashes -r requirements/train.txt
# The extra and-cuda installs the CUDA libraries that this version of TensorFlow was built with.
RUN pip install "tensorflow[and-cuda]==$(python -c 'from importlib.metadata import version; print(version("tensorflow"))')"
COPY . .
RUN pip install --no-build-isolation --no-deps -e .
USER 10001
VOLUME /data
CMD ["lookbook", "worker"]
