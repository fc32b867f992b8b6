# Stands in for the official image of Rust: the toolchain of the machine that builds this image, a C
# compiler and make; and the crates, so that a build needs no network.
# `cargo xtask demo --local-images` builds it.
ARG BASE
FROM ${BASE}
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends gcc libc6-dev make \
    && rm -rf /var/lib/apt/lists/*
ENV CARGO_HOME=/usr/local/cargo \
    PATH=/usr/local/toolchain/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY toolchain /usr/local/toolchain
COPY cargo /usr/local/cargo
