#!/bin/bash
# As far as docker-compose.yml uses the image's own: settings from KAFKA_..., storage that is formatted once.
set -euo pipefail
env | sed -nE 's/^KAFKA_([A-Z_]+)=(.*)$/\1=\2/p' | while IFS='=' read -r name value; do
    printf '%s=%s\n' "$(printf '%s' "$name" | tr 'A-Z_' 'a-z.')" "$value"
done >/tmp/server.properties
run() { java -Xmx512m -cp '/opt/kafka/libs/*' "$@"; }
[ -e /var/lib/kafka/data/meta.properties ] ||
    run kafka.tools.StorageTool format -t "$(run kafka.tools.StorageTool random-uuid)" -c /tmp/server.properties >/dev/null
exec java -Xmx512m -cp '/opt/kafka/libs/*' kafka.Kafka /tmp/server.properties
