#!/bin/bash
# A tool of Kafka by the name of its script.
case "$0" in
*kafka-topics.sh) main=org.apache.kafka.tools.TopicCommand ;;
*kafka-console-consumer.sh) main=org.apache.kafka.tools.consumer.ConsoleConsumer ;;
esac
exec java -Xmx256m -cp '/opt/kafka/libs/*' "$main" "$@"
