#!/bin/bash
# Starts Debian's ZooKeeper as the official image starts its own: from the variables that our compose
# files set.
set -euo pipefail

conf=$(mktemp /tmp/zoo.cfg.XXXXXX)
{
    echo "dataDir=/data"
    echo "dataLogDir=/datalog"
    echo "tickTime=2000"
    echo "initLimit=5"
    echo "syncLimit=2"
    echo "maxClientCnxns=60"
    echo "standaloneEnabled=true"
    echo "admin.enableServer=${ZOO_ADMINSERVER_ENABLED:-true}"
    echo "4lw.commands.whitelist=${ZOO_4LW_COMMANDS_WHITELIST:-srvr}"
    echo "autopurge.snapRetainCount=3"
    echo "autopurge.purgeInterval=${ZOO_AUTOPURGE_PURGEINTERVAL:-0}"
    for server in ${ZOO_SERVERS:-server.1=localhost:2888:3888;2181}; do
        echo "$server"
    done
} > "$conf"
[ -e /data/myid ] || echo "${ZOO_MY_ID:-1}" > /data/myid

# The manifest of the first archive names all that it needs; the second writes the log.
exec java "-Xmx${ZK_SERVER_HEAP:-1000}m" -cp /usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar \
    org.apache.zookeeper.server.quorum.QuorumPeerMain "$conf"
