#!/bin/sh
# What Kafka's official image does at its start: KAFKA_... variables to properties, format the storage once, run the broker.
# With the argument "archive" (while the image is built): run a broker briefly and keep the classes that it loaded.
set -eu
jars=$(echo /opt/kafka/libs/*.jar | tr ' ' ':')
quiet="-Dorg.slf4j.simpleLogger.defaultLogLevel=error"
logs="-Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.log.kafka.server=info"
export CLUSTER_ID="${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}"

setup() {
  output=$(java -XX:TieredStopAtLevel=1 $1 $quiet -cp "$jars" kafka.docker.KafkaDockerWrapper setup \
    --default-configs-dir /etc/kafka/docker \
    --mounted-configs-dir /mnt/shared/config \
    --final-configs-dir /opt/kafka/config 2>&1) || case $output in
  *"already formatted"*) ;;
  *)
    echo "$output"
    exit 1
    ;;
  esac
}

if [ "${1:-}" = archive ]; then
  export KAFKA_PROCESS_ROLES=broker,controller KAFKA_NODE_ID=1 KAFKA_CONTROLLER_QUORUM_VOTERS=1@127.0.0.1:9093
  export KAFKA_CONTROLLER_LISTENER_NAMES=CONTROLLER KAFKA_LISTENERS=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093
  export KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT KAFKA_LOG_DIRS=/tmp/archive
  setup -XX:ArchiveClassesAtExit=/opt/kafka/storage.jsa
  java -Xmx256m -XX:ArchiveClassesAtExit=/opt/kafka/kafka.jsa $logs -cp "$jars" kafka.Kafka /opt/kafka/config/server.properties >/tmp/log 2>&1 &
  broker=$!
  for _ in $(seq 1800); do
    grep -q "Kafka Server started" /tmp/log && break
    sleep 0.1
  done
  grep -q "Kafka Server started" /tmp/log || {
    cat /tmp/log
    exit 1
  }
  kill "$broker"
  wait "$broker" || [ -f /opt/kafka/kafka.jsa ]
  rm -rf /tmp/archive /tmp/log /opt/kafka/config/*
  exit 0
fi

setup -XX:SharedArchiveFile=/opt/kafka/storage.jsa
exec java ${KAFKA_HEAP_OPTS:--Xms512m -Xmx512m} -XX:SharedArchiveFile=/opt/kafka/kafka.jsa ${KAFKA_OPTS:-} $logs -cp "$jars" \
  kafka.Kafka /opt/kafka/config/server.properties
