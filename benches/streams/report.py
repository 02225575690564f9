"""Table and plots of `compare.py`, and the check that all sides of a job gave the same results."""

import os
import shutil

NAMES = {
    "kafka-streams": "Kafka Streams on Apache Kafka",
    "kafka-streams-static": "Kafka Streams, static member",
    "embedded": "millpond, one process",
    "remote": "millpond on its own broker",
    "on-kafka": "millpond on Apache Kafka",
}
COLOURS = {"kafka-streams": "#9dc3e6", "kafka-streams-static": "#bdd7ee", "embedded": "#1f4e79", "remote": "#2e75b6", "on-kafka": "#7f7f7f"}
BEGIN, END = "<!-- figures: written by benches/streams/compare.py --publish -->", "<!-- end of figures -->"


def unequal(rows):
    """Jobs whose sides differ in what they wrote."""
    found = {}
    for row in rows:
        found.setdefault(row["job"], set()).add((row["results"], row["hash"]))
    return [job for job, results in found.items() if len(results) > 1]


def number(value, digits=0):
    return "–" if value is None else f"{value:,.{digits}f}"


def total(values):
    """Nothing was measured, or the sum."""
    values = list(values)
    return None if None in values else sum(values)


def throughput_table(rows):
    lines = ["| job | side | records/s | beside Kafka Streams | CPU s per million records: job | broker | both | peak MiB: job | broker | both |",
             "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    void = unequal(rows)
    for row in rows:
        peer = next((other for other in rows if (other["job"], other["side"]) == (row["job"], "kafka-streams")), None)
        both = peer and peer["records_per_second"] and row["records_per_second"]
        ratio = f"{row['records_per_second'] / peer['records_per_second']:.1f}×" if both else "–"
        cpu = row["job_cpu_per_million"], row["broker_cpu_per_million"]
        peak = row["job_peak_mib"], row["broker_peak_mib"]
        own_broker = row["side"] != "embedded"
        cells = [row["job"] + (" (VOID: results differ)" if row["job"] in void else ""), NAMES[row["side"]], number(row["records_per_second"]), ratio,
                 number(cpu[0], 2), number(cpu[1], 2) if own_broker else "in it", number(total(cpu), 2),
                 number(peak[0]), number(peak[1]) if own_broker else "in it", number(sum(peak))]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def restart_table(rows):
    lines = ["| side | seconds to the first commit | each time | state on disk, MiB | replayed after the last kill |", "| --- | ---: | --- | ---: | ---: |"]
    for row in rows:
        unit = "records" if "kafka-streams" in row["side"] else "bytes"
        cells = [NAMES[row["side"]], number(row["seconds"], 2), ", ".join(number(seconds, 2) for seconds in row["times"]), number(row["state_mib"]),
                 f"{row['restored_last']:,} {unit}"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def in_order(rows, order):
    """By job, then by side as named above."""
    sides = list(NAMES)
    return sorted(rows, key=lambda row: (order.index(row["job"]), sides.index(row["side"])))


def write(rows, out, sizes):
    """`results.md` and the plots."""
    rows = in_order(rows, list(sizes))
    running = [row for row in rows if row["job"] != "restart"]
    restarts = [row for row in rows if row["job"] == "restart"]
    lines = []
    if running:
        inputs = ", ".join(f"{job} {sizes[job][0] / 1e6:g} M" for job in dict.fromkeys(row["job"] for row in running))
        lines += [f"Records: {inputs}; the first quarter is the warm-up. {os.cpu_count()} cores, shared by job and broker.", "", *throughput_table(running)]
        plot(running, "records_per_second", "Records a second", out / "rate.svg")
        plot(running, ("job_cpu_per_million", "broker_cpu_per_million"), "CPU seconds per million records, job and broker together", out / "cpu.svg", 2)
        plot(running, ("job_peak_mib", "broker_peak_mib"), "Peak memory, MiB, job and broker together", out / "memory.svg")
    if restarts:
        _, keys = sizes["restart"]
        lines += ["", f"Restart after SIGKILL at full speed, {keys:,} keys of 1 KB in RocksDB:", "", *restart_table(restarts)]
        plot(restarts, "seconds", "Seconds from the start of the process to its first commit", out / "restart.svg", 2)
    (out / "results.md").write_text("\n".join(lines) + "\n")


def plot(rows, keys, title, path, digits=0):
    """Bars as plain SVG: nothing to install. Each job has a scale of its own, for their figures lie far apart."""
    keys = (keys,) if isinstance(keys, str) else keys
    jobs = list(dict.fromkeys(row["job"] for row in rows))
    height = 50 + sum(34 + 19 * sum(row["job"] == job for row in rows) for job in jobs)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="860" height="{height}" font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="white"/>', f'<text x="10" y="24" font-size="15">{title}</text>']
    y = 40
    for job in jobs:
        mine = [(row["side"], total(row[key] for key in keys)) for row in rows if row["job"] == job]
        top = max((value or 0) for _, value in mine) or 1
        out.append(f'<text x="10" y="{y + 14}" font-weight="bold">{job}</text>')
        y += 20
        for side, value in mine:
            width = 500 * (value or 0) / top
            out.append(f'<text x="30" y="{y + 12}">{NAMES[side]}</text>')
            out.append(f'<rect x="240" y="{y}" width="{width:.1f}" height="15" fill="{COLOURS[side]}"/>')
            out.append(f'<text x="{246 + width:.1f}" y="{y + 12}">{number(value, digits)}</text>')
            y += 19
        y += 14
    path.write_text("\n".join([*out, "</svg>", ""]))


def publish(out, docs):
    """Puts the figures between the marks of docs/streams-compare.md, and the plots beside it."""
    plots = docs / "streams-compare"
    plots.mkdir(exist_ok=True)
    names = [name for name in ("rate", "cpu", "memory", "restart") if (out / f"{name}.svg").exists()]
    for name in names:
        shutil.copy(out / f"{name}.svg", plots)
    page = docs / "streams-compare.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    pictures = "\n".join(f"![{name}](streams-compare/{name}.svg)" for name in names)
    page.write_text(f"{before}{BEGIN}\n\n{pictures}\n\n{(out / 'results.md').read_text()}\n{END}{after}")
