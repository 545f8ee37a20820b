# A stand-in for apache/kafka: its jars on Debian's Java.
FROM standin:base
COPY libs /opt/kafka/libs
COPY kafka.sh /etc/kafka/docker/run
COPY kafka-tool.sh /opt/kafka/bin/kafka-topics.sh
COPY kafka-tool.sh /opt/kafka/bin/kafka-console-consumer.sh
RUN useradd appuser && mkdir -p /var/lib/kafka/data && chown appuser /var/lib/kafka/data && \
    chmod +x /etc/kafka/docker/run /opt/kafka/bin/*.sh
USER appuser
CMD ["/etc/kafka/docker/run"]
