# The command storm-rs, and examples to submit. docker-compose.yml runs a cluster of it.
#
# Both bases can be others, of any architecture: Rust with a C compiler and make; anything with the
# glibc of that one or a newer one.
ARG BUILD_BASE=rust:1.95-bookworm
ARG RUNTIME_BASE=debian:bookworm-slim

# === What the dependencies are built from: manifests, and sources without content ===
# This runs at each change, which takes a second; what comes out of it only differs when a
# manifest does. The next stage is therefore taken from the cache when code alone has changed.
FROM ${BUILD_BASE} AS skeleton
WORKDIR /src
COPY . .
RUN set -eu; \
    find . \( -name Cargo.toml -o -name Cargo.lock \) | while read -r file; do \
        mkdir -p "/skeleton/${file%/*}"; \
        cp "$file" "/skeleton/$file"; \
    done; \
    find . \( -path '*/src/lib.rs' -o -path '*/src/main.rs' -o -path '*/src/bin/*.rs' \
        -o -path '*/benches/*.rs' -o -name build.rs \) | while read -r file; do \
        mkdir -p "/skeleton/${file%/*}"; \
        echo 'fn main() {}' > "/skeleton/$file"; \
    done

# === The build ===
FROM ${BUILD_BASE} AS build
# Of Cargo.toml's release profile: "thin" is its own value, "off" builds in half of the time.
ARG LTO=thin
ENV CARGO_PROFILE_RELEASE_LTO=${LTO} \
    CARGO_INCREMENTAL=0
WORKDIR /src
COPY --from=skeleton /skeleton .
RUN cargo build --release --locked -p storm-cli -p exclamation -p word-count -p random-digit
COPY . .
# cargo goes by the time of a file, and these are older than what was built of the skeleton.
RUN set -eu; \
    find crates examples proto -type f -exec touch {} +; \
    cargo build --release --locked -p storm-cli -p exclamation -p word-count -p random-digit; \
    mkdir -p /out/examples; \
    cp target/release/storm-rs /out/; \
    cp target/release/exclamation target/release/word-count target/release/random-digit /out/examples/

# === What runs ===
FROM ${RUNTIME_BASE}
# New volumes get the owner of the directory over which they are mounted.
RUN groupadd --gid 1000 storm \
    && useradd --uid 1000 --gid storm --home-dir /data --no-create-home --shell /usr/sbin/nologin storm \
    && install -d -m 0750 -o storm -g storm /data /etc/storm
COPY --from=build /out/storm-rs /usr/local/bin/
COPY --from=build /out/examples /opt/storm/examples/
# A container is reached under its own address, and knows whoever has the secret.
ENV STORM_LOCAL_DIR=/data \
    STORM_BIND_ADDRESS=0.0.0.0 \
    STORM_CLUSTER_SECRET_FILE=/etc/storm/secret \
    UI_HOST=0.0.0.0
WORKDIR /opt/storm
USER 1000:1000
EXPOSE 6627 6628 6700 6701 6702 6703 8080 9627 9628
ENTRYPOINT ["storm-rs"]
CMD ["--help"]

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="storm-rs" \
      org.opencontainers.image.description="A topology stream-processing engine: daemons, commands, examples" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
