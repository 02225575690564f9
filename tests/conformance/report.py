#!/usr/bin/env python3
"""Writes docs/conformance.md from the results of the suites. Arguments: folder of results, tests/conformance, the file."""

import collections
import pathlib
import re
import sys

results, here, out = map(pathlib.Path, sys.argv[1:])

TITLES = {
    "librdkafka": "librdkafka's tests, classic groups",
    "librdkafka-consumer": "librdkafka's tests, consumer groups (KIP-848)",
    "kafka-python": "kafka-python's integration tests",
    "rust-rdkafka": "rust-rdkafka's tests",
    "java-tools": "Apache Kafka's Java tools",
    "smoke": "Smoke runs of clients",
}
STATES = ("pass", "fail", "skip")


def read(target, suite):
    """Test → (state, seconds, note)."""
    path = results / target / f"{suite}.tsv"
    found = collections.OrderedDict()
    if path.exists():
        for line in path.read_text(errors="replace").splitlines():
            test, state, seconds, note = (line.split("\t") + ["", "", ""])[:4]
            found[test] = (state, seconds, note)
    return found


def escaped(text):
    return re.sub(r"[|\n]", " ", re.sub(r"/tmp/\S+|127\.0\.0\.1:\d+", "…", text)).strip()


exclusions = collections.defaultdict(list)
for line in (here / "exclusions.tsv").read_text().splitlines():
    if line and not line.startswith("#"):
        suite, test, reason = line.split("\t")
        for name in TITLES if suite == "*" else ("librdkafka", "librdkafka-consumer") if suite == "librdkafka*" else (suite,):
            exclusions[name].append((test, reason))

# Why a test fails, where that is known: suite, test, text.
remarks = {}
for line in (here / "remarks.tsv").read_text().splitlines():
    if line and not line.startswith("#"):
        suite, test, text = line.split("\t")
        remarks[suite, test] = text


def build(suite):
    path = results / "millpond" / f"{suite}.build"
    return path.read_text().strip() if path.exists() else "unknown"


lines = ["# Conformance", "",
         "What suites written by others say about the broker: `make conformance` runs them and writes this page. Each suite gets a fresh broker with an empty",
         "directory and default settings (but for the lines in `suites/*.arguments`: partitions and session times that a suite's harness sets);",
         "`tests/conformance/run --against kafka` runs the same against one node of Apache Kafka 4.3.1, which tells what a suite",
         "cannot pass anywhere (its column comes from a machine that compiled beside it, so single failures there may be of time). A test that skips itself (it asks for TLS, say) is counted as skipped, never as passed; one that is left out stands below with the reason.",
         "librdkafka's harness expects three brokers: its topics are made with one replica here, nothing else in it is changed.",
         "A run of some suites or tests leaves the results of the others as they were; the commit is that of a suite's last whole run.", "",
         "| suite | commit | passed | failed | skipped itself | left out | Apache Kafka: passed | failed |", "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
details = []
for suite, title in TITLES.items():
    left_out = {test for test, _ in exclusions[suite]}
    ours, theirs = ({test: row for test, row in read(target, suite).items() if test not in left_out} for target in ("millpond", "kafka"))
    if not ours:
        continue
    count = collections.Counter(state for state, _, _ in ours.values())
    their = collections.Counter(state for state, _, _ in theirs.values())
    lines.append(f"| {title} | {build(suite)} | {count['pass']} | {count['fail']} | {count['skip']} | {len(exclusions[suite])} | "
                 + (f"{their['pass']} | {their['fail']} |" if theirs else "not run | |"))
    details += ["", f"## {title}", ""]
    details.append("Passed: " + ", ".join(f"`{test}`" for test, (state, _, _) in sorted(ours.items()) if state == "pass") + ".")
    for state, heading in (("fail", "Failed"), ("skip", "Skipped by the suite itself")):
        rows = [(test, remarks.get((suite, test), escaped(note))) for test, (found, _, note) in sorted(ours.items()) if found == state]
        if rows:
            details += ["", f"| {heading} | why, or what it said | Apache Kafka |", "| --- | --- | --- |"]
            details += [f"| `{test}` | {note} | {theirs.get(test, ('not run',))[0]} |" for test, note in rows]
    if exclusions[suite]:
        details += ["", "| Left out | reason |", "| --- | --- |"]
        details += [f"| `{test}` | {reason} |" for test, reason in exclusions[suite]]
out.write_text("\n".join(lines + details) + "\n")
print(f"wrote {out}")
