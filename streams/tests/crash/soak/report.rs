//! What the soak found: a table, JSON, and memory over time as a picture.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde_json::json;

use super::memory::{Sample, Slope, slope};
use crate::settings::say;

/// Names of what [`Sample::bytes`] counts, and the share of its last life that a slope is taken from: caches fill first.
const PROCESSES: [(&str, f64); 2] = [("broker", 0.75), ("job that is not killed", 0.75)];

pub(super) struct Report {
    seed: u64,
    span: Duration,
    rate: u64,
    pub(super) faults: BTreeMap<&'static str, u64>,
    pub(super) violations: Vec<String>,
    pub(super) comparisons: u64,
    pub(super) input: u64,
    pub(super) replayed_most: u64,
    pub(super) databases: usize,
    pub(super) memory: Vec<Sample>,
}

impl Report {
    pub(super) fn new(seed: u64, span: Duration, rate: u64) -> Report {
        Report {
            seed,
            span,
            rate,
            faults: BTreeMap::new(),
            violations: Vec::new(),
            comparisons: 0,
            input: 0,
            replayed_most: 0,
            databases: 0,
            memory: Vec::new(),
        }
    }

    pub(super) fn violation(&mut self, what: &str) {
        say(&format!("VIOLATION: {what}"));
        self.violations.push(what.to_owned());
    }

    fn slopes(&self) -> Vec<(&'static str, Option<Slope>)> {
        let processes = PROCESSES.iter().enumerate();
        processes
            .map(|(which, (name, share))| (*name, slope(&self.memory, which, *share)))
            .collect()
    }

    pub(super) fn table(&self) -> String {
        let mut table = format!(
            "soak of {} min, MILLPOND_CRASH_SEED={}, {} records/s of input, {} of each input partition\n\n",
            self.span.as_secs() / 60,
            self.seed,
            self.rate * 10 * 12,
            self.input
        );
        table.push_str("| what | found |\n| --- | --- |\n");
        let faults: Vec<String> = self
            .faults
            .iter()
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        let mut row =
            |what: &str, found: String| writeln!(table, "| {what} | {found} |").expect("a string takes all");
        row("faults", faults.join(", "));
        row("comparisons with the input", self.comparisons.to_string());
        row("violations", self.violations.len().to_string());
        row(
            "state databases, all as they were born",
            self.databases.to_string(),
        );
        row("most bytes replayed by a start", self.replayed_most.to_string());
        for (name, slope) in self.slopes() {
            let found = slope.map_or("too short to tell".to_owned(), |slope| {
                format!(
                    "{:+.2} ± {:.2} MiB/h (95 %, {} minutes), mean {:.1} MiB, most {:.1} MiB{}",
                    slope.mib_per_hour,
                    slope.give_or_take,
                    slope.minutes,
                    slope.mean_mib,
                    slope.most_mib,
                    if slope.is_within_noise_of_zero() {
                        ""
                    } else {
                        ": GROWS"
                    }
                )
            });
            row(&format!("memory of the {name}"), found);
        }
        table
    }

    pub(super) fn write(&self, path: &str) -> std::io::Result<()> {
        let slopes = self.slopes().into_iter().map(|(name, slope)| {
            let slope = slope.map(|slope| {
                json!({
                    "mib_per_hour": slope.mib_per_hour,
                    "give_or_take": slope.give_or_take,
                    "mean_mib": slope.mean_mib,
                    "most_mib": slope.most_mib,
                    "minutes": slope.minutes,
                })
            });
            (name.to_owned(), json!(slope))
        });
        let report = json!({
            "seed": self.seed,
            "seconds": self.span.as_secs(),
            "records_per_second": self.rate * 10 * 12,
            "faults": self.faults,
            "violations": self.violations,
            "comparisons": self.comparisons,
            "replayed_most_bytes": self.replayed_most,
            "memory": slopes.collect::<serde_json::Map<_, _>>(),
        });
        std::fs::write(format!("{path}.json"), format!("{report:#}\n"))?;
        std::fs::write(format!("{path}.svg"), self.picture())
    }

    /// Resident memory of all three processes.
    fn picture(&self) -> String {
        let (width, height) = (720.0, 260.0);
        let end = self
            .memory
            .last()
            .map_or(1.0, |sample| sample.at.as_secs_f64().max(1.0));
        let most = self
            .memory
            .iter()
            .flat_map(|sample| sample.bytes)
            .max()
            .unwrap_or(1) as f64;
        let mut svg = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {} {}' font-family='sans-serif' font-size='12'>\n<rect width='100%' height='100%' fill='white'/>\n",
            width + 80.0,
            height + 50.0
        );
        let lines = [
            ("broker", "#1b6ca8"),
            ("job that is not killed", "#2e8b57"),
            ("job that is killed", "#c0504d"),
        ];
        for (which, (name, colour)) in lines.into_iter().enumerate() {
            let mut points = String::new();
            for sample in self.memory.iter().filter(|sample| sample.bytes[which] > 0) {
                let x = 50.0 + width * sample.at.as_secs_f64() / end;
                let y = 20.0 + height * (1.0 - sample.bytes[which] as f64 / most);
                write!(points, "{x:.1},{y:.1} ").expect("a string takes all");
            }
            let (x, y) = (60 + which * 180, 14);
            writeln!(
                svg,
                "<polyline fill='none' stroke='{colour}' points='{points}'/>\n<text x='{x}' y='{y}' fill='{colour}'>{name}</text>"
            )
            .expect("a string takes all");
        }
        let mib = most / f64::from(1 << 20);
        write!(
            svg,
            "<text x='4' y='28'>{mib:.0} MiB</text><text x='4' y='{}'>0</text><text x='{}' y='{}'>{:.0} min</text>\n</svg>\n",
            height + 20.0,
            width,
            height + 40.0,
            end / 60.0
        )
        .expect("a string takes all");
        svg
    }
}
