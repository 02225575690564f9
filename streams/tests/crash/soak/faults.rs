//! What goes wrong next, drawn from the seed.

use std::time::Duration;

use millpond_log::clock::{Clock, SystemClock};
use rustix::process::Signal;

use super::report::Report;
use crate::process::Child;
use crate::remote::{World, replayed};

pub(super) struct Faults(fastrand::Rng);

impl Faults {
    pub(super) fn new(seed: u64) -> Faults {
        Faults(fastrand::Rng::with_seed(seed))
    }

    /// Until the next one.
    pub(super) fn pause(&mut self) -> Duration {
        Duration::from_millis(self.0.u64(3_000..12_000))
    }

    /// Lets something go wrong; the broker is killed only while `broker_may_die`.
    pub(super) async fn strike(
        &mut self,
        world: &mut World,
        steady: &mut Child,
        victim: &mut Child,
        broker_may_die: bool,
        report: &mut Report,
    ) {
        if steady.has_ended() {
            report.violation(&format!(
                "the job that was not killed has ended: {}",
                steady.complaints()
            ));
        }
        if victim.has_ended() {
            report.violation(&format!("a job has ended by itself: {}", victim.complaints()));
        }
        let frozen = Duration::from_millis(self.0.u64(100..3_000));
        let name = match self.0.u8(..10) {
            0..4 => {
                match replayed(victim) {
                    Ok(bytes) => report.replayed_most = report.replayed_most.max(bytes),
                    Err(error) => report.violation(&error),
                }
                victim.kill();
                *victim = world.job("victim", None);
                "job killed"
            }
            4..6 if broker_may_die => {
                world.kill_broker().await;
                "broker killed"
            }
            4..6 => {
                freeze(&world.broker, frozen).await;
                "broker frozen"
            }
            6 => {
                freeze(steady, frozen).await;
                "job frozen"
            }
            7 => {
                freeze(victim, frozen).await;
                "job frozen"
            }
            _ => {
                let leads_to = world.proxy.leads_to();
                world.proxy.cut_all();
                world.proxy.lead_to(None);
                SystemClock::new().sleep(frozen / 4).await;
                world.proxy.lead_to(leads_to);
                "network cut"
            }
        };
        *report.faults.entry(name).or_default() += 1;
    }
}

async fn freeze(child: &Child, span: Duration) {
    child.signal(Signal::STOP);
    SystemClock::new().sleep(span).await;
    child.signal(Signal::CONT);
}
