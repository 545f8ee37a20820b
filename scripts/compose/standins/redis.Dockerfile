# A stand-in for redis:7.
FROM standin:base
RUN mkdir -p /data && chown redis:redis /data
WORKDIR /data
