# A stand-in for prom/prometheus.
FROM standin:base
RUN mkdir -p /prometheus && chown nobody /prometheus
ENTRYPOINT ["/usr/bin/prometheus"]
