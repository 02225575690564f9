#!/usr/bin/env python3
"""millpond's Streams beside Kafka Streams: the same five jobs on the same bytes, exactly-once, one side after the other, and a restart with much state.

    benches/streams/compare.py [--size small|full] [--only JOB,…] [--sides SIDE,…] [--again] [--jobs BINARY] [--out FOLDER] [--publish]

Jobs (jobs/job.rs, java/src/beside/Topologies.java): stateless, windowed-count, stream-join, table-join, sessions, restart. Sides: Kafka Streams on Apache Kafka, and millpond's
Streams on the log in its own process, on a broker of its own, and on Apache Kafka. Two partitions, two threads, a commit every 100 ms; every broker and program has its own
defaults for the rest.

Each measurement has an empty directory and a fresh broker. The input is there before the job starts; from the commit of the first quarter (the warm-up) to the last commit the clock
runs, and CPU seconds of job and broker are told apart. What the sides wrote is hashed and must be equal, or the job counts as void.
`restart` kills the job with SIGKILL at full speed, its state built up, and times the start of a new process to its first commit.

Writes results.json after every part and goes on where it stopped (--again: from the beginning); results.md and SVG plots at the end; --publish puts both into docs/.
Needs python3, java and mvn, and the program: cargo bench -p millpond-streams --bench jobs --no-run.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import report
from brokers import REPOSITORY, Kafka, Millpond, cpu_seconds, kafka_jars, resident_mib

HERE = pathlib.Path(__file__).resolve().parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
# Records, keys.
SIZES = {
    "small": {"stateless": (800_000, 1), "windowed-count": (400_000, 100_000), "stream-join": (200_000, 20_000), "table-join": (200_000, 50_000),
              "sessions": (200_000, 10_000), "restart": (600_000, 50_000)},
    "full": {"stateless": (16_000_000, 1), "windowed-count": (6_000_000, 1_000_000), "stream-join": (4_000_000, 200_000), "table-join": (4_000_000, 500_000),
             "sessions": (4_000_000, 100_000), "restart": (2_000_000, 1_000_000)},
}
# Of the keys: how far the first process comes beyond them before it is killed, and how far each one after it. Commits of up to 64 MB are added to that, and input must be left.
KILL_AFTER, KILL_AGAIN_AFTER = 0.1, 0.02
# A stretch that is shorter says nothing: commits come every 100 ms.
SHORTEST_SECONDS = 0.5
LIMIT_SECONDS = 900


def say(text):
    print(text, file=sys.stderr, flush=True)


class Program:
    """A job as a process that tells marks on stdout: see jobs/run.rs. It lives until its stdin is closed."""

    def __init__(self, command, folder):
        self.log = folder / "job.stderr"
        self.started = time.monotonic()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder)
        self.marks = []

    def until(self, mark):
        """The number behind the mark, and seconds since the start of the process."""
        guard = threading.Timer(LIMIT_SECONDS, self.process.kill)
        guard.start()
        try:
            for line in self.process.stdout:
                seconds = time.monotonic() - self.started
                word, _, number = line.strip().partition(" ")
                self.marks.append((word, int(number or 0), seconds))
                if word == mark:
                    return int(number or 0), seconds
                if word == "end":
                    break
        finally:
            guard.cancel()
        raise SystemExit(f"the job ended before {mark!r}: {self.log.read_text()[-2000:]}")

    def cpu(self):
        return cpu_seconds(self.process.pid)

    def peak(self):
        return resident_mib(self.process.pid, "VmHWM")

    def end(self):
        self.process.stdin.close()
        restored, _ = self.until("restored")
        self.process.wait()
        return restored

    def kill(self):
        self.process.kill()
        self.process.wait()


class Side:
    """Where a job runs and who runs it."""

    def __init__(self, name, broker, mode, command):
        self.name, self.broker, self.mode, self.command = name, broker, mode, command

    @contextlib.contextmanager
    def open(self, job):
        """A scene with the input in it."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="beside-"))
        broker = self.broker(self.mode) if self.broker else None
        try:
            if broker:
                broker.start()
            scene = Scene(self, job, folder, broker)
            records, keys = options.sizes[job]
            scene.jobs("fill", "--records", records, "--keys", keys, "--base-ms", options.base_ms)
            # What the filling left to write is not the job's to wait for.
            os.sync()
            yield scene
        finally:
            if broker:
                broker.__exit__()
            shutil.rmtree(folder, ignore_errors=True)


class Scene:
    def __init__(self, side, job, folder, broker):
        self.side, self.job, self.folder, self.broker = side, job, folder, broker
        self.place = ["--connect", broker.address] if broker else ["--embedded", str(folder / "log")]

    def jobs(self, command, *arguments):
        words = [options.jobs, command, self.job, *self.place, *map(str, arguments)]
        return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout

    def run(self, warm, *more):
        records, _ = options.sizes[self.job]
        settings = ["--records", str(records), "--warm", str(warm), "--state", str(self.folder / "state"), *more]
        return Program([*self.side.command(), self.job, *self.place, *settings], self.folder)

    def digest(self):
        words = self.jobs("digest").split()
        return {"results": int(words[1]), "hash": words[3], "written": int(words[5])}

    def broker_cpu(self):
        return self.broker.cpu() if self.broker else 0.0

    def state_mib(self):
        files = (path for path in (self.folder / "state").rglob("*") if path.is_file())
        return sum(path.stat().st_size for path in files) / 2**20


def rust():
    return [options.jobs, "run"]


def java():
    # A heap that Kafka's own scripts would not give, but whose size does not depend on the machine's.
    return ["java", "-Xms1g", "-Xmx2g", "-server", "-XX:+UseG1GC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", options.classpath, "beside.Job"]


SIDES = [
    Side("kafka-streams", Kafka, "page-cache", java),
    Side("embedded", None, None, rust),
    Side("remote", Millpond, "fsync", rust),
    Side("on-kafka", Kafka, "page-cache", rust),
]
# Side, how often it is killed, what is added to its command, and under which name it is shown.
RESTARTS = [
    ("kafka-streams", 1, [], "kafka-streams"),
    ("kafka-streams", 1, ["--instance", "beside-1"], "kafka-streams-static"),
    ("embedded", 3, [], "embedded"),
    ("remote", 3, [], "remote"),
    ("on-kafka", 3, [], "on-kafka"),
]


def throughput(side, job):
    records, _ = options.sizes[job]
    with side.open(job) as scene:
        program = scene.run(records // 4)
        warm, began = program.until("warm")
        cpu, broker_cpu = program.cpu(), scene.broker_cpu()
        end, ended = program.until("end")
        cpu, broker_cpu = program.cpu() - cpu, scene.broker_cpu() - broker_cpu
        whole = program.cpu()
        peak = program.peak()
        broker_peak = resident_mib(scene.broker.process.pid, "VmHWM") if scene.broker else 0.0
        program.end()
        counted, seconds = end - warm, ended - began
        row = {"job": job, "side": side.name, "records": end, "counted": counted, "seconds": seconds, "warm_up_seconds": began,
               "job_cpu_whole": whole, "job_peak_mib": peak, "broker_peak_mib": broker_peak, "state_mib": scene.state_mib(), **scene.digest()}
        enough = seconds >= SHORTEST_SECONDS
        row["records_per_second"] = counted / seconds if enough else None
        row["job_cpu_per_million"] = cpu * 1e6 / counted if enough else None
        row["broker_cpu_per_million"] = broker_cpu * 1e6 / counted if enough else None
    if enough:
        say(f"{job} {side.name}: {row['records_per_second']:,.0f} records/s ({counted:,} in {seconds:.1f} s), CPU s per million: job "
            f"{row['job_cpu_per_million']:.2f}, broker {row['broker_cpu_per_million']:.2f}; MiB: job {peak:.0f}, broker {broker_peak:.0f}")
    else:
        say(f"{job} {side.name}: {counted:,} records in {seconds:.2f} s are too few to tell")
    return row


def restart(side, kills, more, name):
    """Build the state, kill, start, and again; then to the end of the input, so that nothing counted twice or not at all stays unseen."""
    _, keys = options.sizes["restart"]
    times, restored, legs = [], [], []
    with side.open("restart") as scene:
        program = scene.run(int(keys * (1 + KILL_AFTER)), *more)
        program.until("warm")
        for _ in range(kills):
            program.kill()
            state = scene.state_mib()
            program = scene.run(int(keys * KILL_AGAIN_AFTER), *more)
            _, seconds = program.until("first")
            times.append(seconds)
            legs.append(list(program.marks))
            if len(times) < kills:
                program.until("warm")
        program.until("end")
        peak = program.peak()
        restored = program.end()
        row = {"job": "restart", "side": name, "seconds": sorted(times)[len(times) // 2], "times": times, "state_mib": state, "restored_last": restored,
               "job_peak_mib": peak, "marks": legs, **scene.digest()}
    say(f"restart {name}: first commit after {', '.join(f'{seconds:.2f}' for seconds in times)} s, {state:,.0f} MiB on disk; replayed {restored:,} "
        + ("records" if "kafka-streams" in name else "bytes"))
    return row


def parts():
    """What is to be measured: job, name of the side, the work."""
    sides = {side.name: side for side in SIDES}
    only, chosen = options.only.split(","), options.sides.split(",")
    for job in options.sizes:
        if job not in only:
            continue
        if job == "restart":
            for side, kills, more, name in RESTARTS:
                if side in chosen:
                    yield job, name, lambda s=sides[side], k=kills, m=more, n=name: restart(s, k, m, n)
        else:
            for side in SIDES:
                if side.name in chosen:
                    yield job, side.name, lambda s=side, j=job: throughput(s, j)


def classpath():
    """Kafka Streams and the program in java/, compiled."""
    work = options.out / "java"
    libs, classes = work / "libs", work / "classes"
    pom = HERE / "java" / "pom.xml"
    if not (work / "pom.xml").exists() or (work / "pom.xml").read_bytes() != pom.read_bytes():
        shutil.rmtree(libs, ignore_errors=True)
        work.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={libs}"], check=True, stdout=sys.stderr)
        shutil.copy(pom, work / "pom.xml")
    subprocess.run(["javac", "-Xlint:all,-processing", "-d", str(classes), "-cp", f"{libs}/*", *map(str, (HERE / "java/src/beside").glob("*.java"))], check=True)
    return f"{classes}:{libs}/*"


def built():
    """The newest build of the program in the release profile, which is what users run."""
    found = [path for path in TARGET.glob("release/deps/jobs-*") if path.is_file() and os.access(path, os.X_OK) and not path.suffix]
    return str(max(found, key=lambda path: path.stat().st_mtime, default=""))


def main():
    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / f"results-{options.size}.json"
    rows, options.base_ms = [], int(time.time() // 3600 - 6) * 3_600_000
    if kept.exists() and not options.again:
        before = json.loads(kept.read_text())
        # What was measured on other input says nothing beside what follows.
        rows = [row for row in before["rows"] if row["input"] == list(options.sizes[row["job"]])]
        options.base_ms = before["base_ms"]
    work = list(parts())
    missing = [(job, name, measure) for job, name, measure in work if not any((row["job"], row["side"]) == (job, name) for row in rows)]
    if missing:
        Millpond.binary = options.jobs
        Kafka.libs, Kafka.log4j = kafka_jars()
        options.classpath = classpath()
    for job, name, measure in missing:
        load = os.getloadavg()[0]
        if load > 0.5:
            say(f"load {load:.1f}: others work on this machine, or the part before is still felt")
        rows.append({**measure(), "input": options.sizes[job], "load_before": load})
        kept.write_text(json.dumps({"base_ms": options.base_ms, "size": options.size, "rows": rows}, indent=1))
    void = report.unequal(rows)
    report.write(rows, options.out, options.sizes)
    if options.publish:
        report.publish(options.out, REPOSITORY / "docs")
    print((options.out / "results.md").read_text())
    for job in void:
        say(f"VOID: the sides of {job} do not give the same results")
    return 1 if void else 0


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--size", choices=SIZES, default="small")
parser.add_argument("--only", default=",".join(SIZES["full"]))
parser.add_argument("--sides", default=",".join(side.name for side in SIDES))
parser.add_argument("--again", action="store_true", help="forget what was measured before")
parser.add_argument("--jobs", default=built(), help="the program of jobs/")
parser.add_argument("--work", type=pathlib.Path, help="where the data lies while it is needed; the system's folder for temporary files by default")
parser.add_argument("--out", type=pathlib.Path, default=TARGET / "streams-compare")
parser.add_argument("--publish", action="store_true", help="put table and plots into docs/")
options = parser.parse_args()
options.sizes = SIZES[options.size]
options.out = options.out.resolve()
tempfile.tempdir = str(options.work) if options.work else None
if not pathlib.Path(options.jobs).is_file():
    raise SystemExit("the program is missing: cargo bench -p millpond-streams --bench jobs --no-run, or --jobs BINARY")
sys.exit(main())
