# docker build -t myfsio .
# docker run --rm -p 5000:5000 -p 5100:5100 -v "$PWD/data:/app/data" -v "$PWD/logs:/app/logs" --name myfsio myfsio
#
# The first start makes the administrator `localadmin` with a random secret and prints it once: `docker logs myfsio`. ADMIN_ACCESS_KEY
# and ADMIN_SECRET_KEY choose another. The node never runs as root; as whom it runs: packaging/docker-entrypoint, docs/operations.md.

ARG RUST=1.95
ARG DEBIAN=trixie

FROM rust:${RUST}-slim-${DEBIAN} AS build
WORKDIR /build
COPY . .
# What `myfsio version` tells beside the version: --build-arg GIT_COMMIT="$(git rev-parse --short=12 HEAD)"
ARG GIT_COMMIT=
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin myfsio \
    && strip --strip-debug -o /myfsio target/release/myfsio

FROM debian:${DEBIAN}-slim
# Any user may make a node in a fresh volume; nobody else is in the container.
RUN groupadd --gid 10001 myfsio \
    && useradd --uid 10001 --gid 10001 --home-dir /app --no-create-home --shell /usr/sbin/nologin myfsio \
    && mkdir /app \
    && install --directory --owner=myfsio --group=myfsio --mode=1777 /app/data /app/logs
# Whom webhooks, replication targets and identity providers are believed by.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY LICENSE /usr/share/doc/myfsio/
COPY packaging/docker-entrypoint /usr/local/bin/
COPY --from=build /myfsio /usr/local/bin/
WORKDIR /app
ENV HOST=0.0.0.0 \
    STORAGE_ROOT=/app/data \
    LOG_DIR=/app/logs
VOLUME ["/app/data", "/app/logs"]
EXPOSE 5000 5100
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["myfsio", "healthcheck"]
ENTRYPOINT ["docker-entrypoint"]
CMD ["serve"]
