//! Resident memory of the processes, and whether it grows: a straight line through the means of each minute, with the 95 % confidence interval of its slope.

use std::sync::Arc;
use std::time::Duration;

use millpond_log::clock::Clock;
use parking_lot::Mutex;

/// Time between two samples.
const EVERY: Duration = Duration::from_secs(2);

/// Samples of one block; their mean counts as one measurement, because what follows at once is nearly the same.
const BLOCK: Duration = Duration::from_secs(60);

/// The processes' ids.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    pub(super) broker: u32,
    pub(super) steady: u32,
    pub(super) victim: u32,
}

/// Resident bytes of broker, steady job and victim at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) at: Duration,
    pub(super) ids: Memory,
    pub(super) bytes: [u64; 3],
}

pub(super) struct Samples {
    ids: Arc<Mutex<Memory>>,
    taken: Arc<Mutex<Vec<Sample>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Samples {
    pub(super) fn start(clock: Arc<dyn Clock>, ids: Memory) -> Samples {
        let (ids, taken) = (Arc::new(Mutex::new(ids)), Arc::new(Mutex::new(Vec::new())));
        let (shared, into) = (ids.clone(), taken.clone());
        let begin = clock.monotonic();
        let task = tokio::spawn(async move {
            loop {
                let ids = *shared.lock();
                into.lock().push(Sample {
                    at: clock.monotonic() - begin,
                    ids,
                    bytes: [ids.broker, ids.steady, ids.victim].map(resident_bytes),
                });
                clock.sleep(EVERY).await;
            }
        });
        Samples { ids, taken, task }
    }

    /// Looks at these processes from now on.
    pub(super) fn watch(&self, ids: Memory) {
        *self.ids.lock() = ids;
    }

    pub(super) fn finish(self) -> Vec<Sample> {
        self.task.abort();
        std::mem::take(&mut *self.taken.lock())
    }
}

/// Zero when the process is gone.
fn resident_bytes(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().split(' ').next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// How memory went on: MiB per hour, and what it may be by chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slope {
    pub(super) mib_per_hour: f64,
    /// Half the width of the 95 % confidence interval.
    pub(super) give_or_take: f64,
    pub(super) mean_mib: f64,
    pub(super) most_mib: f64,
    pub(super) minutes: usize,
}

impl Slope {
    pub(super) fn is_within_noise_of_zero(&self) -> bool {
        self.mib_per_hour - self.give_or_take <= 0.0
    }
}

/// The slope of `which` (as in [`Sample::bytes`]) over the last `share` of the life of the process that was there in the end. `None` with fewer than three minutes.
pub(super) fn slope(samples: &[Sample], which: usize, share: f64) -> Option<Slope> {
    let id = |sample: &Sample| [sample.ids.broker, sample.ids.steady, sample.ids.victim][which];
    let last = samples.last()?;
    let life: Vec<&Sample> = samples.iter().filter(|sample| id(sample) == id(last)).collect();
    let (born, end) = (life.first()?.at, last.at);
    let from = born + (end - born).mul_f64(1.0 - share);
    let mut blocks: Vec<(f64, f64, f64)> = Vec::new();
    let settled: Vec<&&Sample> = life
        .iter()
        .filter(|sample| sample.at >= from && sample.bytes[which] > 0)
        .collect();
    for sample in &settled {
        let block = ((sample.at - from).as_secs_f64() / BLOCK.as_secs_f64()).floor();
        let mib = sample.bytes[which] as f64 / f64::from(1 << 20);
        match blocks.last_mut().filter(|(number, ..)| *number == block) {
            Some((_, sum, count)) => (*sum, *count) = (*sum + mib, *count + 1.0),
            None => blocks.push((block, mib, 1.0)),
        }
    }
    let points: Vec<(f64, f64)> = blocks
        .iter()
        .map(|(block, sum, count)| (block / 60.0, sum / count))
        .collect();
    let most_mib = settled.iter().map(|sample| sample.bytes[which]).max()? as f64 / f64::from(1 << 20);
    let (mib_per_hour, give_or_take, mean_mib) = line(&points)?;
    Some(Slope {
        mib_per_hour,
        give_or_take,
        mean_mib,
        most_mib,
        minutes: points.len(),
    })
}

/// Least squares: slope, half of its 95 % confidence interval, mean.
fn line(points: &[(f64, f64)]) -> Option<(f64, f64, f64)> {
    let n = points.len() as f64;
    let freedom = n - 2.0;
    if freedom < 1.0 {
        return None;
    }
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let slope = points
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum::<f64>()
        / spread;
    let rest = |(x, y): &(f64, f64)| (y - mean_y - slope * (x - mean_x)).powi(2);
    let error = (points.iter().map(rest).sum::<f64>() / freedom / spread).sqrt();
    Some((slope, student(freedom) * error, mean_y))
}

/// The 97.5 % quantile of Student's distribution (Cornish and Fisher's expansion; within 1 % from 3 degrees of freedom on).
fn student(freedom: f64) -> f64 {
    let z = 1.959_964_f64;
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
    z + first / freedom + second / freedom.powi(2) + third / freedom.powi(3)
}
