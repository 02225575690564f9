//! Kill points and planted bugs: how the crash tests and the simulation reach into the code.
//!
//! Code calls `faults.point("K1")` where a crash is worth trying, and asks `faults.sabotaged(…)` where a bug is planted
//! to prove that the tests would notice it. Always true: without `debug_assertions` (release builds) a [`Faults`] is
//! empty, every call is a no-op the compiler removes, and no environment variable is read.
//!
//! From outside: `MILLPOND_KILL_POINT=K12:3` kills the process (SIGKILL) at the third hit of K12,
//! `MILLPOND_SABOTAGE=skip-fsync,skip-fencing` plants bugs.

use std::fmt;
use std::sync::Arc;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicU64, Ordering};

/// A bug that can be planted; each must be caught by a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sabotage {
    /// The flusher reports bytes durable without syncing them.
    SkipFsync,
    /// A write is acknowledged before it is durable.
    AckBeforeDurable,
    /// The last stable offset is one too high.
    LastStableOffsetOffByOne,
    /// Batches are appended whatever their sequence says.
    SkipSequenceCheck,
    /// Input offsets are committed outside the transaction.
    OffsetsOutsideTransaction,
    /// Uncommitted state is applied before the commit is acknowledged.
    ApplyOverlayBeforeCommit,
    /// Changelog records are written outside the transaction.
    ChangelogOutsideTransaction,
    /// Older producer epochs are let through.
    SkipFencing,
    /// State is restored from an offset other than the stored one.
    RestoreFromWrongOffset,
    /// Operators keep their caches when their transaction is lost.
    KeepCachesOnAbort,
    /// Deletions are left out when a changelog is replayed: what was deleted since the last flush comes back, timers too.
    RestoreWithoutDeletions,
    /// Changelogs are replayed to their end, whatever became of the transactions in them.
    RestoreUncommitted,
    /// A worker that is fenced takes its transactional id back from whoever has it.
    ZombieTakesOver,
    /// The last batch of a torn tail is taken as sound without its checksum.
    SkipRecoveryCrc,
    /// A renamed file is reported durable without syncing its directory.
    SkipDirectorySync,
}

impl Sabotage {
    /// Every bug that can be planted.
    pub const ALL: [Sabotage; 15] = [
        Sabotage::SkipFsync,
        Sabotage::AckBeforeDurable,
        Sabotage::LastStableOffsetOffByOne,
        Sabotage::SkipSequenceCheck,
        Sabotage::OffsetsOutsideTransaction,
        Sabotage::ApplyOverlayBeforeCommit,
        Sabotage::ChangelogOutsideTransaction,
        Sabotage::SkipFencing,
        Sabotage::RestoreFromWrongOffset,
        Sabotage::KeepCachesOnAbort,
        Sabotage::RestoreWithoutDeletions,
        Sabotage::RestoreUncommitted,
        Sabotage::ZombieTakesOver,
        Sabotage::SkipRecoveryCrc,
        Sabotage::SkipDirectorySync,
    ];

    /// Its name in `MILLPOND_SABOTAGE` and in the documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Sabotage::SkipFsync => "skip-fsync",
            Sabotage::AckBeforeDurable => "ack-before-durable",
            Sabotage::LastStableOffsetOffByOne => "last-stable-offset-off-by-one",
            Sabotage::SkipSequenceCheck => "skip-sequence-check",
            Sabotage::OffsetsOutsideTransaction => "offsets-outside-transaction",
            Sabotage::ApplyOverlayBeforeCommit => "apply-overlay-before-commit",
            Sabotage::ChangelogOutsideTransaction => "changelog-outside-transaction",
            Sabotage::SkipFencing => "skip-fencing",
            Sabotage::RestoreFromWrongOffset => "restore-from-wrong-offset",
            Sabotage::KeepCachesOnAbort => "keep-caches-on-abort",
            Sabotage::RestoreWithoutDeletions => "restore-without-deletions",
            Sabotage::RestoreUncommitted => "restore-uncommitted",
            Sabotage::ZombieTakesOver => "zombie-takes-over",
            Sabotage::SkipRecoveryCrc => "skip-recovery-crc",
            Sabotage::SkipDirectorySync => "skip-directory-sync",
        }
    }

    /// The bug of that name.
    pub fn from_name(name: &str) -> Option<Sabotage> {
        Sabotage::ALL.into_iter().find(|sabotage| sabotage.name() == name)
    }
}

/// What a simulation runs at every kill point; it gets the point's name.
pub type PointHook = Arc<dyn Fn(&str) + Send + Sync>;

/// Cheap handle to the faults of one node; clones share their hit counts.
#[derive(Clone, Default)]
pub struct Faults {
    #[cfg(debug_assertions)]
    inner: Option<Arc<Inner>>,
}

#[cfg(debug_assertions)]
#[derive(Clone, Default)]
struct Inner {
    kill: Option<KillPoint>,
    hook: Option<PointHook>,
    sabotage: std::collections::BTreeSet<Sabotage>,
}

/// Where to die, and at which hit (from 1).
#[cfg(debug_assertions)]
#[derive(Clone)]
struct KillPoint {
    name: String,
    at_hit: u64,
    hits: Arc<AtomicU64>,
}

#[cfg(debug_assertions)]
impl KillPoint {
    /// Reads `K12:3`; a bare `K12` means the first hit.
    fn parse(text: &str) -> Option<KillPoint> {
        let (name, at_hit) = match text.split_once(':') {
            Some((name, hit)) => (name, hit.parse().ok().filter(|&hit| hit > 0)?),
            None => (text, 1),
        };
        let known = !name.is_empty() && !name.contains(char::is_whitespace);
        known.then(|| KillPoint {
            name: name.to_owned(),
            at_hit,
            hits: Arc::new(AtomicU64::new(0)),
        })
    }

    /// Counts a hit of the point called `name`; true when this is the one to die at.
    fn hit(&self, name: &str) -> bool {
        self.name == name && self.hits.fetch_add(1, Ordering::SeqCst) + 1 == self.at_hit
    }
}

impl Faults {
    /// No faults: what production runs with.
    pub const fn none() -> Faults {
        Faults {
            #[cfg(debug_assertions)]
            inner: None,
        }
    }

    /// Faults named by `MILLPOND_KILL_POINT` and `MILLPOND_SABOTAGE`; none in a release build.
    ///
    /// # Panics
    /// On a value it cannot read: a crash test that never kills would prove nothing.
    #[cfg(debug_assertions)]
    pub fn from_env() -> Faults {
        let kill = std::env::var("MILLPOND_KILL_POINT")
            .ok()
            .map(|text| match KillPoint::parse(&text) {
                Some(kill) => kill,
                None => panic!("MILLPOND_KILL_POINT={text:?} is not of the form NAME:HIT, for example K12:3"),
            });
        let sabotage = std::env::var("MILLPOND_SABOTAGE").unwrap_or_default();
        let sabotage = sabotage.split(',').filter(|name| !name.is_empty()).map(|name| {
            Sabotage::from_name(name)
                .unwrap_or_else(|| panic!("MILLPOND_SABOTAGE: no planted bug is called {name:?}"))
        });
        let sabotage = sabotage.collect::<std::collections::BTreeSet<_>>();
        if kill.is_none() && sabotage.is_empty() {
            return Faults::none();
        }
        Faults {
            inner: Some(Arc::new(Inner {
                kill,
                hook: None,
                sabotage,
            })),
        }
    }

    /// Faults named by `MILLPOND_KILL_POINT` and `MILLPOND_SABOTAGE`; none in a release build.
    #[cfg(not(debug_assertions))]
    pub fn from_env() -> Faults {
        Faults::none()
    }

    /// Only these planted bugs.
    pub fn with_sabotage(sabotage: impl IntoIterator<Item = Sabotage>) -> Faults {
        Faults::none().and_sabotage(sabotage)
    }

    /// These planted bugs on top of what is there.
    #[cfg_attr(not(debug_assertions), allow(unused_variables))]
    #[must_use]
    pub fn and_sabotage(self, sabotage: impl IntoIterator<Item = Sabotage>) -> Faults {
        self.changed(|inner| {
            #[cfg(debug_assertions)]
            inner.sabotage.extend(sabotage);
        })
    }

    /// Runs `hook` at every kill point, for simulations: it may crash the simulated disk or count.
    #[cfg_attr(not(debug_assertions), allow(unused_variables))]
    #[must_use]
    pub fn on_point(self, hook: PointHook) -> Faults {
        self.changed(|inner| {
            #[cfg(debug_assertions)]
            {
                inner.hook = Some(hook);
            }
        })
    }

    /// A place where a crash is worth trying. Does nothing, or never returns, or runs the hook.
    #[inline]
    pub fn point(&self, name: &str) {
        #[cfg(debug_assertions)]
        if let Some(inner) = &self.inner {
            if inner.kill.as_ref().is_some_and(|kill| kill.hit(name)) {
                kill_self(name);
            }
            if let Some(hook) = &inner.hook {
                hook(name);
            }
        }
        #[cfg(not(debug_assertions))]
        let _ = name;
    }

    /// True if this bug is planted; always false in a release build.
    #[inline]
    pub fn sabotaged(&self, sabotage: Sabotage) -> bool {
        #[cfg(debug_assertions)]
        return self
            .inner
            .as_ref()
            .is_some_and(|inner| inner.sabotage.contains(&sabotage));
        #[cfg(not(debug_assertions))]
        {
            let _ = sabotage;
            false
        }
    }

    #[cfg(debug_assertions)]
    fn changed(self, change: impl FnOnce(&mut Inner)) -> Faults {
        let mut inner = self.inner.map(|inner| (*inner).clone()).unwrap_or_default();
        change(&mut inner);
        Faults {
            inner: Some(Arc::new(inner)),
        }
    }

    #[cfg(not(debug_assertions))]
    fn changed(self, _change: impl FnOnce(&mut ())) -> Faults {
        self
    }
}

/// Dies as by `kill -9`: no destructor, no flush, no unwinding.
#[cfg(debug_assertions)]
fn kill_self(name: &str) -> ! {
    eprintln!("millpond: killed at {name}");
    let sent = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // The signal cannot be blocked; reaching this line means it was not even sent.
    panic!("could not kill this process at {name}: {sent:?}");
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Faults");
        #[cfg(debug_assertions)]
        if let Some(inner) = &self.inner {
            shown.field(
                "kill",
                &inner
                    .kill
                    .as_ref()
                    .map(|kill| format!("{}:{}", kill.name, kill.at_hit)),
            );
            shown.field("sabotage", &inner.sabotage);
        }
        shown.finish_non_exhaustive()
    }
}

#[cfg(all(test, debug_assertions))]
#[path = "faults_test.rs"]
mod faults_test;
