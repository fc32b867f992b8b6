# Stands in for the official image of ZooKeeper: Debian's package, started by the same variables.
# `cargo xtask demo --local-images` builds it.
ARG BASE
FROM ${BASE}
# Java's package wants to link manuals, even where Debian's slim images have none.
RUN mkdir -p /usr/share/man/man1 \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        default-jre-headless libslf4j-java zookeeper \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --no-create-home --shell /usr/sbin/nologin zoo \
    && install -d -o zoo -g zoo /data /datalog
COPY zookeeper-entrypoint.sh /docker-entrypoint.sh
USER zoo
VOLUME ["/data", "/datalog"]
EXPOSE 2181 2888 3888
ENTRYPOINT ["/docker-entrypoint.sh"]
