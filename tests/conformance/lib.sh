# Shared by the runner and the suites of tests/conformance; sourced, never run.
#
# What a suite gets: BOOTSTRAP (HOST:PORT), WORK (the cache for what registries brought), OUT (logs of this suite),
# RESULTS (a file of tab-separated lines: test, pass|fail|skip, seconds, note), DATA_DIR (the broker's files, or
# nothing if the broker is not ours to look into).

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
WORK=${CONFORMANCE_WORK:-${XDG_CACHE_HOME:-$HOME/.cache}/millpond/conformance}
KAFKA_VERSION=4.3.0
mkdir -p "$WORK"

say() { printf '%s\n' "$*" >&2; }

stop_with() {
    say "conformance: $1"
    exit 1
}

# result TEST pass|fail|skip SECONDS [NOTE]
result() {
    local note=${4:-}
    note=${note//$'\t'/ }
    note=${note//$'\n'/ }
    printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "${note:0:300}" >>"$RESULTS"
    say "  $2  $1 ($3 s) ${note:0:160}"
}

# check TEST SECONDS_MAX COMMAND...: runs the command, its output into OUT/TEST.log; passes if it exits with 0.
check() {
    local test=$1 limit=$2 log="$OUT/$1.log" begin=$SECONDS code=0
    shift 2
    timeout -k 5 "$limit" "$@" >"$log" 2>&1 || code=$?
    if [ "$code" = 0 ]; then
        result "$test" pass $((SECONDS - begin))
    elif [ "$code" = 124 ] || [ "$code" = 137 ]; then
        result "$test" fail $((SECONDS - begin)) "no end after $limit s"
    else
        result "$test" fail $((SECONDS - begin)) "exit $code: $(grep -v '^[[:space:]]*$' "$log" | grep -v -E '^[[:space:]]+at ' | tail -1)"
    fi
    return 0
}

# The jars of java/pom.xml, brought once for each version of that file.
kafka_jars() {
    local jars="$WORK/jars"
    if ! cmp -s "$HERE/java/pom.xml" "$jars/pom.xml"; then
        rm -rf "$jars"
        mkdir -p "$jars"
        mvn -q -B -f "$HERE/java/pom.xml" dependency:copy-dependencies -DoutputDirectory="$jars/libs" >&2 \
            || stop_with "Maven could not bring Kafka's jars"
        printf '%s\n' 'rootLogger.level=warn' 'rootLogger.appenderRef.a.ref=a' 'appender.a.type=Console' 'appender.a.name=a' \
            'appender.a.target=SYSTEM_ERR' 'appender.a.layout.type=PatternLayout' 'appender.a.layout.pattern=%d %p %c %m%n' >"$jars/log4j2.properties"
        cp "$HERE/java/pom.xml" "$jars/pom.xml"
    fi
    KAFKA_LIBS="$jars/libs"
    LOG4J="$jars/log4j2.properties"
}

# kafka_class CLASS ARGS...: one of Kafka's tools. Quick to start: it lives for seconds.
kafka_class() {
    java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$LOG4J" -cp "${CLASSPATH:+$CLASSPATH:}$KAFKA_LIBS/*" "$@"
}

# A folder that looks like an unpacked Kafka: bin/kafka-*.sh for suites that call them.
kafka_home() {
    kafka_jars
    KAFKA_PATH="$WORK/kafka-home"
    mkdir -p "$KAFKA_PATH/bin"
    ln -sfn "$KAFKA_LIBS" "$KAFKA_PATH/libs"
    local name class
    while read -r name class; do
        printf '#!/usr/bin/env bash\nexec java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile=%q -cp "${CLASSPATH:+$CLASSPATH:}"%q %s "$@"\n' \
            "$LOG4J" "$KAFKA_LIBS/*" "$class" >"$KAFKA_PATH/bin/$name.sh"
        chmod +x "$KAFKA_PATH/bin/$name.sh"
    done <<LIST
kafka-topics org.apache.kafka.tools.TopicCommand
kafka-acls org.apache.kafka.tools.AclCommand
kafka-configs org.apache.kafka.tools.ConfigCommand
kafka-storage kafka.tools.StorageTool
kafka-run-class
LIST
}

python_env() {
    local env="$WORK/venv-$1"
    shift
    if [ ! -e "$env/complete" ]; then
        python3 -m venv "$env" && "$env/bin/pip" -q install "$@" >&2 && touch "$env/complete" \
            || stop_with "pip could not install $*"
    fi
    PYTHON="$env/bin/python"
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# Starts millpond on an empty directory; sets BOOTSTRAP, DATA_DIR, BROKER_PID.
start_millpond() {
    local log=$1 line
    DATA_DIR=$(mktemp -d "${TMPDIR:-/tmp}/millpond-conformance.XXXXXX")
    "$BROKER_BIN" start --kafka 127.0.0.1:0 --data "$DATA_DIR" ${START_ARGUMENTS:-} >"$log.out" 2>"$log" &
    BROKER_PID=$!
    for _ in $(seq 300); do
        line=$(grep -m1 '^ready kafka=' "$log.out" || true)
        if [ -n "$line" ]; then
            line=${line#ready kafka=}
            BOOTSTRAP=${line%% *}
            return 0
        fi
        kill -0 "$BROKER_PID" 2>/dev/null || break
        sleep 0.1
    done
    tail -5 "$log" >&2
    stop_with "millpond did not start"
}

# Starts one node of Apache Kafka on an empty directory; sets BOOTSTRAP, DATA_DIR, BROKER_PID.
start_kafka() {
    local log=$1 port controller dir
    kafka_jars
    dir=$(mktemp -d "${TMPDIR:-/tmp}/millpond-conformance.XXXXXX")
    DATA_DIR="$dir/logs"
    port=$(free_port)
    controller=$(free_port)
    BOOTSTRAP=127.0.0.1:$port
    cat >"$dir/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:$controller
listeners=PLAINTEXT://$BOOTSTRAP,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://$BOOTSTRAP,CONTROLLER://127.0.0.1:$controller
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$DATA_DIR
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
num.partitions=4
${KAFKA_EXTRA_PROPERTIES:-}
PROPERTIES
    kafka_class kafka.tools.StorageTool format --standalone -t "$(kafka_class kafka.tools.StorageTool random-uuid 2>/dev/null)" \
        -c "$dir/server.properties" >"$log.format" 2>&1 || stop_with "formatting Kafka's directory failed: $log.format"
    java -Xms512m -Xmx1g -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -Dlog4j2.configurationFile="$LOG4J" -cp "$KAFKA_LIBS/*" \
        kafka.Kafka "$dir/server.properties" >"$log.out" 2>"$log" &
    BROKER_PID=$!
    for _ in $(seq 600); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return 0; fi
        kill -0 "$BROKER_PID" 2>/dev/null || break
        sleep 0.1
    done
    tail -5 "$log" >&2
    stop_with "Apache Kafka did not start"
}

# Ends the broker that this run started and removes its files.
stop_broker() {
    [ -n "${BROKER_PID:-}" ] || return 0
    kill "$BROKER_PID" 2>/dev/null || true
    for _ in $(seq 100); do
        kill -0 "$BROKER_PID" 2>/dev/null || break
        sleep 0.1
    done
    kill -9 "$BROKER_PID" 2>/dev/null || true
    wait "$BROKER_PID" 2>/dev/null || true
    BROKER_PID=
    if [ -n "${DATA_DIR:-}" ] && [ -z "${KEEP_DATA:-}" ]; then rm -rf "${DATA_DIR%/logs}"; fi
}
