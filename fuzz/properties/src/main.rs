//! Fuzzing without a fuzzer: replays the seeds, then runs so many drawn inputs a target. `make check` runs it; `make fuzz` where cargo-fuzz is missing.
//!
//! `millpond-fuzz [--runs N] [--seed N] [--seeds DIR] [--target NAME] [FILE…]`: with files, only those are run. An input that breaks a promise is written to
//! `fuzz/artifacts/TARGET/` and named; the same numbers give the same inputs. `--write-seeds` adds what the shapes of messages yield to the seeds.

use std::ffi::OsStr;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fastrand::Rng;
use millpond_fuzz::mutate::mutate;
use millpond_fuzz::{TARGETS, Target, first_seeds};

/// Inputs a target in `make check`: a few seconds.
const RUNS: u64 = 5_000;

struct Options {
    runs: u64,
    seed: u64,
    seeds: PathBuf,
    target: Option<String>,
    write_seeds: bool,
    files: Vec<PathBuf>,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        runs: RUNS,
        seed: 1,
        seeds: Path::new(env!("CARGO_MANIFEST_DIR")).join("../seeds"),
        target: None,
        write_seeds: false,
        files: Vec::new(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        let number = |text: String| text.parse().map_err(|_| format!("{text} is no number"));
        match word.as_str() {
            "--runs" => options.runs = number(value()?)?,
            "--seed" => options.seed = number(value()?)?,
            "--seeds" => options.seeds = value()?.into(),
            "--write-seeds" => options.write_seeds = true,
            "--target" => options.target = Some(value()?),
            flag if flag.starts_with('-') => return Err(format!("unknown flag {flag}")),
            _ => options.files.push(word.into()),
        }
    }
    if let Some(name) = &options.target
        && !TARGETS.iter().any(|target| target.name == name)
    {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        return Err(format!("no target {name}; there are {}", names.join(", ")));
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    for target in &TARGETS {
        if options.target.as_ref().is_some_and(|name| name != target.name) {
            continue;
        }
        match fuzz(target, &options) {
            Ok(line) => println!("{line}"),
            Err(error) => {
                eprintln!("error: {}: {error}", target.name);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn fuzz(target: &Target, options: &Options) -> Result<String, String> {
    if options.write_seeds {
        write_seeds(target, &options.seeds).map_err(|error| format!("seeds cannot be written: {error}"))?;
    }
    let seeds = if options.files.is_empty() {
        inputs_in(&options.seeds.join(target.name))
    } else {
        options.files.iter().map(std::fs::read).collect()
    };
    let seeds = seeds.map_err(|error| format!("seeds cannot be read: {error}"))?;
    let mut sound = 0;
    for seed in &seeds {
        sound += u64::from(run(target, seed)?);
    }
    let runs = if options.files.is_empty() { options.runs } else { 0 };
    let mut rng = Rng::with_seed(options.seed);
    for number in 0..runs {
        let mut input = (target.sample)(&mut rng);
        // Samples as they are, samples and seeds with damage.
        if number % 4 != 0 {
            let other = &seeds[rng.usize(..seeds.len())];
            if number % 4 == 1 {
                let sample = std::mem::replace(&mut input, other.clone());
                mutate(&mut input, &sample, &mut rng);
            } else {
                mutate(&mut input, other, &mut rng);
            }
        }
        sound += u64::from(run(target, &input)?);
    }
    let ran = seeds.len() as u64 + runs;
    Ok(format!(
        "{}: {} seeds, {ran} inputs, {sound} taken for sound",
        target.name,
        seeds.len()
    ))
}

fn write_seeds(target: &Target, seeds: &Path) -> io::Result<()> {
    let directory = seeds.join(target.name);
    std::fs::create_dir_all(&directory)?;
    for (name, seed) in first_seeds(target) {
        std::fs::write(directory.join(name), seed)?;
    }
    Ok(())
}

fn inputs_in(directory: &Path) -> io::Result<Vec<Vec<u8>>> {
    let files = std::fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    let mut paths: Vec<_> = files.into_iter().map(|file| file.path()).collect();
    paths.retain(|path| path.extension() != Some(OsStr::new("md")));
    paths.sort();
    if paths.is_empty() {
        return Err(io::Error::other(format!("{} is empty", directory.display())));
    }
    paths.iter().map(std::fs::read).collect()
}

/// Runs one input; one that breaks a promise is kept.
fn run(target: &Target, input: &[u8]) -> Result<bool, String> {
    catch_unwind(AssertUnwindSafe(|| (target.property)(input))).map_err(|_| match keep(target, input) {
        Ok(path) => format!("a promise is broken; the input is {}", path.display()),
        Err(error) => format!("a promise is broken by {input:02x?}, which cannot be written: {error}"),
    })
}

fn keep(target: &Target, input: &[u8]) -> io::Result<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../artifacts")
        .join(target.name);
    std::fs::create_dir_all(&directory)?;
    let sum = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    let path = directory.join(format!("{sum:016x}"));
    std::fs::write(&path, input)?;
    Ok(path)
}
