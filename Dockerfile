# docker build -t myfsio .
# docker run --rm -p 5000:5000 -p 5100:5100 -v "$PWD/data:/app/data" -v "$PWD/logs:/app/logs" --name myfsio myfsio
# Before the first run: mkdir -p data logs && sudo chown 10001:10001 data logs (the node does not run as root).
#
# HOST is 0.0.0.0 inside, so the first start makes an administrator `localadmin` with a random secret and prints it once
# (docker logs); set ADMIN_ACCESS_KEY and ADMIN_SECRET_KEY to choose it. /healthz is asked by the node's own program.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin myfsio \
    && cp target/release/myfsio /myfsio

FROM debian:bookworm-slim
RUN groupadd --gid 10001 myfsio \
    && useradd --uid 10001 --gid myfsio --home-dir /app --no-create-home --shell /usr/sbin/nologin myfsio \
    && install --directory --owner=myfsio --group=myfsio /app /app/data /app/logs
COPY --from=build /myfsio /usr/local/bin/myfsio
COPY LICENSE /usr/share/doc/myfsio/LICENSE
WORKDIR /app
USER myfsio
ENV HOST=0.0.0.0 \
    STORAGE_ROOT=/app/data \
    LOG_DIR=/app/logs
VOLUME ["/app/data", "/app/logs"]
EXPOSE 5000 5100
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s CMD ["myfsio", "healthcheck"]
ENTRYPOINT ["myfsio"]
CMD ["serve"]
