#!/usr/bin/env python3
"""millpond beside one node of Apache Kafka: the same clients, one broker at a time, alternating.

    benches/compare/compare.py [--rounds 3] [--megabytes 400] [--only startup,latency,produce,topics] [--millpond BINARY] [--out FOLDER]

Clients: `millpond perf` (librdkafka) and Apache Kafka's ProducerPerformance (Java), each against both brokers. Measured: broker CPU seconds per GB
(user and system time from /proc), records per second, p99 of acknowledgements, single records end to end, a steady rate, memory idle and loaded, time from
start to first answer, and a node with 10,000 partitions. Durability: `page-cache` (acknowledged when in the operating system's memory: Kafka's default) and `fsync` (acknowledged when on disk: millpond's
default; Kafka with log.flush.interval.messages=1). Writes results.json, results.md and SVG plots, keeping the parts measured before that --only leaves out; ends
every broker it started.
Needs python3, java and mvn; see benches/brokers.py.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from brokers import REPOSITORY, Kafka, Millpond, kafka_jars

MODES = ("page-cache", "fsync")


def say(text):
    print(text, file=sys.stderr, flush=True)


BROKERS = (Millpond, Kafka)


def tool(name, *arguments, **settings):
    command = ["java", "-Xmx512m", f"-Dlog4j2.configurationFile={Kafka.log4j}", "-cp", f"{Kafka.libs}/*", f"org.apache.kafka.tools.{name}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, **settings).stdout


def make_topic(broker, name, partitions):
    settings = [word for setting in broker.topic_settings() for word in ("--config", setting)]
    if settings:
        # The Java tool refuses settings it does not know before it asks anybody; millpond's own passes them on.
        subprocess.run([options.millpond, "topic", "create", name, "-b", broker.address, "-p", str(partitions), "-r", "1",
                        *[word for setting in broker.topic_settings() for word in ("-c", setting)]], check=True, capture_output=True)
    else:
        tool("TopicCommand", "--bootstrap-server", broker.address, "--create", "--topic", name, "--partitions", str(partitions), "--replication-factor", "1")


def percentile_ms(output, which):
    return float(re.findall(rf"([\d.]+) ms {which}", output)[-1])


def produce_java(broker, topic, records, size):
    output = tool("ProducerPerformance", "--bootstrap-server", broker.address, "--topic", topic, "--num-records", str(records), "--record-size", str(size),
                  "--throughput", "-1", "--command-property", "acks=all", "linger.ms=5", "batch.size=65536")
    rate = float(re.findall(r"([\d.]+) records/sec", output)[-1])
    return rate, percentile_ms(output, "99th")


def perf(broker, *arguments):
    output = subprocess.run([options.millpond, "perf", *arguments, "-b", broker.address, "--format", "json"], check=True, capture_output=True, text=True).stdout
    return json.loads(output)["results"][0]


def produce_rust(broker, topic, records, size):
    result = perf(broker, "produce", topic, "-n", str(records), "-s", str(size), "-X", "linger.ms=5", "-X", "batch.size=65536")
    return result["records_per_second"], result["p99_ms"]


def consume_java(broker, topic, records, _):
    output = tool("ConsumerPerformance", "--bootstrap-server", broker.address, "--topic", topic, "--num-records", str(records), "--timeout", "60000")
    # The last column: joining the group is not what is measured.
    return float(output.strip().splitlines()[-1].split(",")[9]), None


def consume_rust(broker, topic, records, _):
    return perf(broker, "consume", topic, "-n", str(records))["records_per_second"], None


CLIENTS = {"millpond perf": (produce_rust, consume_rust), "Java": (produce_java, consume_java)}


def warm(broker):
    """As much again as one measurement, uncounted: a virtual machine compiles what is hot, and files grow to their size."""
    make_topic(broker, "warm", 1)
    for client, (produce, consume) in CLIENTS.items():
        records = options.megabytes * 1_000_000 // 1024
        produce(broker, "warm", records, 1024)
        consume(broker, "warm", records, 1024)


def load():
    """Produce and consume in every combination; a fresh, warmed broker for each durability and number of partitions, the brokers in turn."""
    for mode in MODES:
        for partitions in (1, 64):
            for round_ in range(options.rounds):
                for kind in BROKERS:
                    with kind(mode) as broker:
                        warm(broker)
                        for size in (100, 1024):
                            for number, (client, steps) in enumerate(CLIENTS.items()):
                                yield from measure(broker, f"load-{size}-{number}", partitions, size, client, steps)


def measure(broker, topic, partitions, size, client, steps):
    records = options.megabytes * 1_000_000 // size
    make_topic(broker, topic, partitions)
    for step, work in zip(("produce", "consume"), steps):
        before = broker.cpu()
        rate, p99 = work(broker, topic, records, size)
        cpu = (broker.cpu() - before) / (records * size / 1e9)
        yield {"step": step, "broker": broker.name, "mode": broker.mode, "partitions": partitions, "size": size, "client": client,
               "records_per_second": rate, "p99_ms": p99, "cpu_seconds_per_gb": cpu, "loaded_mib": broker.memory()}
        say(f"{broker.mode} {partitions} partitions {size} B {client} {step} {broker.name}: "
            f"{rate:,.0f} records/s, {cpu:.2f} CPU s/GB" + (f", p99 {p99:.1f} ms" if p99 is not None else ""))


def startup():
    """From exec to the first answer: an empty directory, and again after a clean stop."""
    for _ in range(options.rounds):
        for kind in BROKERS:
            broker = kind("fsync")
            try:
                first = broker.start()
                broker.stop()
                again = broker.start()
                idle = broker.memory()
            finally:
                broker.__exit__()
            yield {"step": "startup", "broker": broker.name, "first_seconds": first, "again_seconds": again, "idle_mib": idle}
            say(f"{broker.name} serves after {first:.2f} s, after a restart {again:.2f} s, {idle:.0f} MiB")


def topics():
    """10,000 partitions on one node: making them, memory, start, and producing to all of them."""
    for kind in BROKERS:
        broker = kind("page-cache")
        try:
            broker.start()
            begin = time.monotonic()
            for number in range(10):
                make_topic(broker, f"many-{number}", 1000)
            made = time.monotonic() - begin
            memory = broker.memory()
            records = 500_000
            before = broker.cpu()
            rate, p99 = produce_rust(broker, "many-0", records, 100)
            cpu = broker.cpu() - before
            broker.stop()
            again = broker.start()
            after = broker.memory()
        finally:
            broker.__exit__()
        yield {"step": "topics", "broker": broker.name, "make_seconds": made, "memory_mib": memory, "records_per_second": rate, "p99_ms": p99,
               "cpu_seconds": cpu, "restart_seconds": again, "restarted_mib": after}
        say(f"{broker.name}: 10,000 partitions made in {made:.1f} s, {memory:.0f} MiB, restart {again:.2f} s ({after:.0f} MiB)")


def latency():
    """One record at a time until a consumer has it, and acknowledgements at a steady rate; 1 KiB, acks=all, one partition."""
    for mode in MODES:
        for round_ in range(options.rounds):
            for kind in BROKERS:
                with kind(mode) as broker:
                    warm(broker)
                    make_topic(broker, "single", 1)
                    perf(broker, "e2e", "single", "-n", "1000", "-s", "1024")
                    single = perf(broker, "e2e", "single", "-n", "2000", "-s", "1024")
                    make_topic(broker, "steady", 1)
                    steady = perf(broker, "produce", "steady", "-n", str(options.rate * 10), "-s", "1024", "--rate", str(options.rate), "-X", "linger.ms=5")
                    yield {"step": "latency", "broker": broker.name, "mode": mode, "e2e_p50_ms": single["p50_ms"], "e2e_p99_ms": single["p99_ms"],
                           "steady_p50_ms": steady["p50_ms"], "steady_p99_ms": steady["p99_ms"], "steady_rate": steady["records_per_second"]}
                    say(f"{mode} {broker.name}: end to end p50 {single['p50_ms']:.2f} p99 {single['p99_ms']:.2f} ms; "
                        f"{options.rate} records/s p50 {steady['p50_ms']:.2f} p99 {steady['p99_ms']:.2f} ms")


def median(rows, key):
    values = [row[key] for row in rows if row.get(key) is not None]
    return statistics.median(values) if values else None


def number(value, digits=1):
    return "–" if value is None else f"{value:,.{digits}f}"


def table(rows):
    lines = ["# millpond beside Apache Kafka", "",
             f"Medians of {options.rounds} rounds, {options.megabytes} MB each, one broker at a time on {os.cpu_count()} cores that it shares with the client.", ""]
    loads = [row for row in rows if row["step"] in ("produce", "consume")]
    cases = sorted({(r["step"], r["mode"], r["partitions"], r["size"], r["client"]) for r in loads}, key=lambda c: (c[0] != "produce", *c[1:]))
    if cases:
        lines += ["| step | durability | partitions | bytes | client | records/s millpond | Kafka | broker CPU s/GB millpond | Kafka | p99 ms millpond | Kafka | MiB millpond | Kafka |",
                  "| --- | --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for case in cases:
        cells = [str(part) for part in case]
        pick = {kind.name: [r for r in loads if (r["step"], r["mode"], r["partitions"], r["size"], r["client"]) == case and r["broker"] == kind.name] for kind in BROKERS}
        for key, digits in (("records_per_second", 0), ("cpu_seconds_per_gb", 2), ("p99_ms", 1), ("loaded_mib", 0)):
            cells += [number(median(pick[kind.name], key), digits) for kind in BROKERS]
        lines.append("| " + " | ".join(cells) + " |")
    found = [row for row in rows if row["step"] == "latency"]
    if found:
        lines += ["", "## Latency", "", f"1 KiB, acks=all, one partition: single records end to end, and acknowledgements at {options.rate:,} records/s.", "",
                  "| durability | what | ms millpond | Kafka |", "| --- | --- | ---: | ---: |"]
        for mode in MODES:
            for key, label in (("e2e_p50_ms", "end to end p50"), ("e2e_p99_ms", "end to end p99"), ("steady_p50_ms", "steady rate p50"), ("steady_p99_ms", "steady rate p99")):
                cells = [number(median([r for r in found if r["mode"] == mode and r["broker"] == kind.name], key), 2) for kind in BROKERS]
                lines.append(f"| {mode} | {label} | " + " | ".join(cells) + " |")
    for step, title, keys in (("startup", "Start", (("first_seconds", "s to the first answer, empty"), ("again_seconds", "s, again"), ("idle_mib", "MiB idle"))),
                              ("topics", "10,000 partitions", (("make_seconds", "s to make them"), ("memory_mib", "MiB"), ("records_per_second", "records/s into 1,000 of them"),
                                                               ("p99_ms", "p99 ms"), ("restart_seconds", "s to restart"), ("restarted_mib", "MiB after it")))):
        found = [row for row in rows if row["step"] == step]
        if found:
            lines += ["", f"## {title}", "", "| | " + " | ".join(kind.name for kind in BROKERS) + " |", "| --- | ---: | ---: |"]
            for key, label in keys:
                lines.append(f"| {label} | " + " | ".join(number(median([r for r in found if r["broker"] == kind.name], key), 2) for kind in BROKERS) + " |")
    return "\n".join(lines) + "\n"


def plot(rows, key, title, path):
    """Bars, two a case, as plain SVG: nothing to install."""
    loads = [row for row in rows if row["step"] == "produce"]
    cases = sorted({(r["mode"], r["partitions"], r["size"], r["client"]) for r in loads})
    bars = []
    for case in cases:
        for kind in BROKERS:
            value = median([r for r in loads if (r["mode"], r["partitions"], r["size"], r["client"]) == case and r["broker"] == kind.name], key)
            bars.append((case, kind.name, value or 0))
    if not bars:
        return
    top = max(value for _, _, value in bars) or 1
    height = 40 + 18 * len(bars) + 10 * len(cases)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="860" height="{height}" font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="white"/>', f'<text x="10" y="20" font-size="15">{title} (millpond dark, Apache Kafka light)</text>']
    y = 34
    for index, (case, name, value) in enumerate(bars):
        if index % 2 == 0:
            y += 10
            out.append(f'<text x="10" y="{y + 20}">{case[0]}, {case[1]} part., {case[2]} B, {case[3]}</text>')
        width = 440 * value / top
        out.append(f'<rect x="310" y="{y}" width="{width:.1f}" height="15" fill="{"#1f4e79" if name == "millpond" else "#9dc3e6"}"/>')
        out.append(f'<text x="{316 + width:.1f}" y="{y + 12}">{number(value, 2)}</text>')
        y += 18
    path.write_text("\n".join([*out, "</svg>", ""]))


def main():
    options.out.mkdir(parents=True, exist_ok=True)
    parts = {"startup": startup, "latency": latency, "produce": load, "topics": topics}
    only = options.only.split(",")
    again = {step for name in only for step in ((name, "consume") if name == "produce" else (name,))}
    before = options.out / "results.json"
    rows = [row for row in json.loads(before.read_text()) if row["step"] not in again] if before.exists() else []
    for name, work in parts.items():
        if name in only:
            for row in work():
                rows.append(row)
                (options.out / "results.json").write_text(json.dumps(rows, indent=1))
    (options.out / "results.md").write_text(table(rows))
    plot(rows, "cpu_seconds_per_gb", "Broker CPU seconds per GB produced", options.out / "cpu.svg")
    plot(rows, "p99_ms", "p99 of acknowledgements, ms", options.out / "p99.svg")
    plot(rows, "records_per_second", "Records produced a second", options.out / "rate.svg")
    print((options.out / "results.md").read_text())


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--megabytes", type=int, default=400)
parser.add_argument("--only", default="startup,latency,produce,topics")
parser.add_argument("--rate", type=int, default=10_000, help="records a second of the steady rate")
parser.add_argument("--millpond", default=str(pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "release" / "millpond"))
parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "compare")
options = parser.parse_args()
if not pathlib.Path(options.millpond).exists():
    raise SystemExit(f"{options.millpond} is missing: cargo build --release --no-default-features --features clients, or --millpond BINARY")
Millpond.binary = options.millpond
Kafka.libs, Kafka.log4j = kafka_jars()
main()
