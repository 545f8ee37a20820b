#!/bin/bash
# MariaDB, Redis and Apache Kafka for tests and for trying things out: real servers on free ports of this machine, with everything
# they keep in one directory.
#
#   scripts/services.sh install                  what is missing on this machine (as root, on Debian)
#   scripts/services.sh up DIR [SERVICE ...]     starts mysql, redis and kafka, or those that are named, and writes DIR/env
#   scripts/services.sh down DIR [SERVICE ...]   stops them; what they keep stays
#
# A service that runs is left alone, and one that was killed comes back on its port with what it had. DIR/SERVICE/pid has its process.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
kafka_version=4.2.0
kafka_jars="$here/../target/services/kafka-$kafka_version"
all_services=(mysql redis kafka)

say() { echo "services: $*" >&2; }
fail() { say "$*"; exit 1; }

install_packages() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
        fail "$* must be installed, which takes Debian's apt-get and root"
    say "installing $*"
    apt_install() { DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends "$@" >/dev/null 2>&1; }
    apt_install "$@" || { apt-get update -qq && apt_install "$@"; } || fail "$* cannot be installed"
}

install() {
    local missing=()
    command -v mariadbd >/dev/null || [ -x /usr/sbin/mariadbd ] || missing+=(mariadb-server)
    command -v redis-server >/dev/null || missing+=(redis-server)
    command -v openssl >/dev/null || missing+=(openssl)
    command -v java >/dev/null || missing+=(openjdk-17-jre-headless)
    [ -e "$kafka_jars/complete" ] || command -v mvn >/dev/null || missing+=(maven)
    [ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
    if [ ! -e "$kafka_jars/complete" ]; then
        say "fetching Apache Kafka $kafka_version"
        mkdir -p "$kafka_jars"
        mvn -q -f "$here/services/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
            -DoutputDirectory="$(cd "$kafka_jars" && pwd)" >&2 || fail "the jars of Apache Kafka cannot be fetched"
        touch "$kafka_jars/complete"
    fi
}

# Below the ports that the system gives out by itself.
free_port() {
    local port
    while :; do
        port=$(shuf -i 20000-32000 -n 1)
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}

# The port of a service, or its second one for TLS: the same whenever it is started again.
port_of() {
    local file=$dir/$1/${2:-}port
    [ -s "$file" ] || free_port >"$file"
    cat "$file"
}

# A certificate of this machine that nobody has signed but itself: $dir/tls/cert.pem, with its key beside it and before it.
make_certificate() {
    [ -e "$dir/tls/both.pem" ] && return
    mkdir -p "$dir/tls"
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=localhost \
        -addext subjectAltName=IP:127.0.0.1,DNS:localhost \
        -keyout "$dir/tls/key.pem" -out "$dir/tls/cert.pem" 2>"$dir/tls/log" || fail "no certificate can be made: $dir/tls/log"
    cat "$dir/tls/key.pem" "$dir/tls/cert.pem" >"$dir/tls/both.pem"
}

# One that has ended and that nobody has asked after yet (a zombie) does not run.
is_alive() { grep -qE '^State:[[:space:]]+[^ZX[:space:]]' "/proc/$1/status" 2>/dev/null; }
runs() { [ -s "$dir/$1/pid" ] && is_alive "$(cat "$dir/$1/pid")"; }

# Starts a process that outlives this one, and keeps its number.
start() {
    local service=$1
    shift
    setsid "$@" >>"$dir/$service/log" 2>&1 </dev/null 9>&- &
    echo $! >"$dir/$service/pid"
}

# Waits until a command succeeds.
await() {
    local service=$1 tries
    shift
    for tries in $(seq 600); do
        "$@" >/dev/null 2>&1 && return
        runs "$service" || break
        sleep 0.1
    done
    tail -n 20 "$dir/$service/log" >&2
    fail "$service does not come up; its log is $dir/$service/log"
}

up_mysql() {
    local home=$dir/mysql port
    port=$(port_of mysql)
    if [ ! -e "$home/made" ]; then
        rm -rf "$home/data"
        mariadb-install-db --no-defaults --user="$(id -un)" --datadir="$home/data" --skip-test-db \
            --auth-root-authentication-method=normal >"$home/log" 2>&1 || fail "mariadb-install-db: $home/log"
        cat >"$home/init.sql" <<SQL
CREATE DATABASE IF NOT EXISTS interlock;
CREATE USER IF NOT EXISTS 'interlock'@'127.0.0.1' IDENTIFIED BY 'mysql-secret';
GRANT ALL ON *.* TO 'interlock'@'127.0.0.1' WITH GRANT OPTION;
SQL
        touch "$home/made"
    fi
    start mysql /usr/sbin/mariadbd --no-defaults --user="$(id -un)" --datadir="$home/data" --init-file="$home/init.sql" \
        --bind-address=127.0.0.1 --port="$port" --socket="$home/socket" --pid-file="$home/own.pid" --skip-name-resolve \
        --innodb-buffer-pool-size=128M --innodb-log-file-size=64M \
        --ssl-cert="$dir/tls/cert.pem" --ssl-key="$dir/tls/key.pem"
    await mysql mariadb-admin --no-defaults --host=127.0.0.1 --port="$port" --user=interlock --password=mysql-secret ping
}

up_redis() {
    local home=$dir/redis port
    port=$(port_of redis)
    start redis redis-server --bind 127.0.0.1 --port "$port" --dir "$home" --databases 1000 --save "" --appendonly no \
        --requirepass redis-secret \
        --tls-port "$(port_of redis tls-)" --tls-cert-file "$dir/tls/cert.pem" --tls-key-file "$dir/tls/key.pem" --tls-auth-clients no
    await redis env REDISCLI_AUTH=redis-secret redis-cli -p "$port" ping
}

up_kafka() {
    local home=$dir/kafka port tls_port sasl_port controller_port
    port=$(port_of kafka)
    tls_port=$(port_of kafka tls-)
    sasl_port=$(port_of kafka sasl-)
    local java=(java -Xms256m -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$kafka_jars/*")
    if [ ! -e "$home/made-2" ]; then
        rm -rf "$home/data"
        controller_port=$(free_port)
        cat >"$home/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:$port,SSL://127.0.0.1:$tls_port,SASL_SSL://127.0.0.1:$sasl_port,CONTROLLER://127.0.0.1:$controller_port
advertised.listeners=PLAINTEXT://127.0.0.1:$port,SSL://127.0.0.1:$tls_port,SASL_SSL://127.0.0.1:$sasl_port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_interlock="kafka-secret";
ssl.keystore.type=PEM
ssl.keystore.location=$dir/tls/both.pem
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=127.0.0.1:$controller_port
log.dirs=$home/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
PROPERTIES
        "${java[@]}" kafka.tools.StorageTool format --standalone --cluster-id 4L6g3nShT-eMCtK--X86sw \
            --config "$home/server.properties" >>"$home/log" 2>&1 || fail "Kafka's storage cannot be formatted: $home/log"
        touch "$home/made-2"
    fi
    start kafka "${java[@]}" kafka.Kafka "$home/server.properties"
    await kafka bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"
}

write_env() {
    local port
    {
        port=$(port_of mysql)
        echo "MYSQL_DSN='interlock:mysql-secret@tcp(127.0.0.1:$port)/interlock'"
        port=$(port_of redis)
        echo "REDIS_ADDR=127.0.0.1:$port"
        echo "REDIS_PASSWORD=redis-secret"
        port=$(port_of kafka)
        echo "KAFKA_BROKERS=127.0.0.1:$port"
        port=$(port_of redis tls-)
        echo "REDIS_TLS_ADDR=127.0.0.1:$port"
        port=$(port_of kafka tls-)
        echo "KAFKA_TLS_BROKERS=127.0.0.1:$port"
        port=$(port_of kafka sasl-)
        echo "KAFKA_SASL_BROKERS=127.0.0.1:$port"
        echo "TLS_CERTIFICATE='$dir/tls/cert.pem'"
    } >"$dir/env.new"
    # Others may be reading it.
    mv "$dir/env.new" "$dir/env"
}

up() {
    local service pids=()
    install
    for service in "${all_services[@]}"; do mkdir -p "$dir/$service"; done
    make_certificate
    write_env
    for service in "$@"; do
        runs "$service" && continue
        say "starting $service on port $(port_of "$service")"
        "up_$service" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || exit 1; done
}

down() {
    local service pid tries
    for service in "$@"; do
        runs "$service" || continue
        pid=$(cat "$dir/$service/pid")
        kill -CONT "$pid"
        kill "$pid"
        for tries in $(seq 300); do
            is_alive "$pid" || break
            sleep 0.1
        done
        kill -KILL "$pid" 2>/dev/null || true
    done
}

command=${1:-}
[ "$command" = install ] && { install; exit; }
[ $# -ge 2 ] || fail "usage: services.sh install | up DIR [SERVICE ...] | down DIR [SERVICE ...]"
mkdir -p "$2"
dir=$(cd "$2" && pwd)
shift 2
[ $# -gt 0 ] || set -- "${all_services[@]}"
case "$command" in
    up | down)
        # One at a time: tests that run side by side ask for the same ones.
        exec 9>"$dir/lock"
        flock 9
        "$command" "$@"
        ;;
    *) fail "there is no command $command" ;;
esac
