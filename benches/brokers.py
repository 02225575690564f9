"""Brokers as processes, for the scripts that put millpond beside Apache Kafka: each on an empty directory, ended by whoever started it.

Needs python3, java and mvn; Kafka's jars come through Maven (tests/conformance/java/pom.xml).
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
TICK = os.sysconf("SC_CLK_TCK")


def kafka_jars():
    """The folder of Kafka's jars, brought once, and the settings of its log."""
    script = f'source "{REPOSITORY}/tests/conformance/lib.sh"; kafka_jars; echo "$KAFKA_LIBS|$LOG4J"'
    return subprocess.run(["bash", "-c", script], check=True, stdout=subprocess.PIPE, text=True).stdout.strip().split("|")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def cpu_seconds(pid):
    """User and system seconds of a process so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident_mib(pid, which="VmRSS"):
    """Resident MiB of a process now, or the most it ever had (`VmHWM`)."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{which}:\s+(\d+)", status)[1]) / 1024


class Broker:
    """One process on an empty directory; `with` ends it and removes its files."""

    def __init__(self, mode):
        self.mode = mode
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="compare-"))
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def start(self):
        """Seconds until the port answers."""
        begin = time.monotonic()
        self.launch()
        while True:
            if self.process.poll() is not None:
                raise SystemExit(f"{self.name} ended at its start; see {self.folder}/stderr")
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                break
            except OSError:
                time.sleep(0.002)
        self.answered()
        return time.monotonic() - begin

    def spawn(self, command, **settings):
        log = open(self.folder / "stderr", "ab")
        return subprocess.Popen(command, stderr=log, cwd=self.folder, **settings)

    def cpu(self):
        return cpu_seconds(self.process.pid)

    def memory(self):
        return resident_mib(self.process.pid)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"


class Millpond(Broker):
    name = "millpond"
    # A program with the verb `start`; whoever uses this class sets it.
    binary = None

    def __init__(self, mode):
        super().__init__(mode)
        self.port = free_port()

    def launch(self):
        self.process = self.spawn([self.binary, "start", "--kafka", self.address, "--data", str(self.folder / "data")],
                                  stdout=subprocess.PIPE, text=True)

    def answered(self):
        line = self.process.stdout.readline()
        assert line.startswith("ready "), line

    def topic_settings(self):
        return [f"durability={self.mode}"]


class Kafka(Broker):
    name = "Apache Kafka"
    # From `kafka_jars`; whoever uses this class sets them.
    libs, log4j = None, None

    def __init__(self, mode):
        super().__init__(mode)
        self.port, controller = free_port(), free_port()
        flush = "log.flush.interval.messages=1" if mode == "fsync" else ""
        (self.folder / "server.properties").write_text(f"""process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={self.folder}/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
{flush}
""")
        format_log = open(self.folder / "format", "wb")
        self.java = ["java", f"-Dlog4j2.configurationFile={self.log4j}", "-cp", f"{self.libs}/*"]
        subprocess.run([*self.java, "kafka.tools.StorageTool", "format", "--standalone", "-t", "Y29tcGFyZS1jbHVzdGVyMQ",
                        "-c", "server.properties"], check=True, cwd=self.folder, stdout=format_log, stderr=format_log)

    def launch(self):
        # The flags of Kafka's own start script.
        self.process = self.spawn([*self.java[:1], "-Xms1g", "-Xmx1g", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
                                   "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent", *self.java[1:],
                                   "kafka.Kafka", "server.properties"], stdout=subprocess.DEVNULL)

    def answered(self):
        # The port is open before the broker serves: an answer to ApiVersions tells.
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as stream:
                    stream.sendall(bytes.fromhex("0000000a00120000000000010000"))
                    if len(stream.recv(4)) == 4:
                        return
            except OSError:
                pass
            time.sleep(0.005)

    def topic_settings(self):
        return []
