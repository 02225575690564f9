//! Broker and job in one process, killed as a whole: at random moments, at named points, in the middle of recovery and of restore.

use std::time::Duration;

use crate::child::show_plan;
use crate::process::{Child, Identities, command};
use crate::remote::replayed;
use crate::settings::{block_on, kills, plan, say, seed};
use crate::verdict::directory_is_right;

/// Points of transactions (K12–K15), of state (K19), of restore (K20), of recovery (K22) and of the worker (S1–S5).
const POINTS: [&str; 12] = [
    "K12", "K13", "K14", "K15", "K19", "K20", "K22", "S1", "S2", "S3", "S5", "K2",
];

/// Kills at K19, K20 and K22 first, whatever is drawn after them.
const ALWAYS: [&str; 4] = ["K19:25", "K20:1", "K22:2", "K20:2"];

pub(crate) fn sigkill_changes_nothing() {
    block_on(async {
        let seed = seed();
        let mut rng = fastrand::Rng::with_seed(seed);
        let wanted = kills(6);
        let (mut killed, mut most_replayed, mut directories) = (0, 0, 0);
        while killed < wanted {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let plan = plan(seed + directories, 700);
            directories += 1;
            let mut identities = Identities::default();
            let mut kills_here = rng.u64(5..=9).min(wanted - killed);
            if directories == 1 {
                kills_here = kills_here.max(ALWAYS.len() as u64);
            }
            for number in 0.. {
                let always = ALWAYS.get(number).filter(|_| directories == 1);
                let point = match (always, rng.u8(..3)) {
                    _ if number as u64 >= kills_here => None,
                    (Some(point), _) => Some((*point).to_owned()),
                    (None, 0) => None,
                    (None, _) => Some(format!(
                        "{}:{}",
                        POINTS[rng.usize(..POINTS.len())],
                        rng.u32(1..40)
                    )),
                };
                let after = (number as u64) < kills_here && point.is_none();
                let after = after.then(|| Duration::from_millis(rng.u64(30..1_500)));
                let mut child_command = command(&[
                    "embedded".to_owned(),
                    dir.path().display().to_string(),
                    show_plan(&plan),
                ]);
                if let Some(point) = &point {
                    child_command.env("MILLPOND_KILL_POINT", point);
                }
                let mut child = Child::start(child_command, dir.path());
                let status = match after {
                    Some(after) => child.ended_within(after).await,
                    None => Some(
                        child
                            .ended_within(crate::settings::PATIENCE)
                            .await
                            .expect("a life ends"),
                    ),
                };
                let how = match (&point, after) {
                    (Some(point), _) => format!("at {point}"),
                    (None, Some(after)) => format!("after {} ms", after.as_millis()),
                    (None, None) => "to its end".to_owned(),
                };
                if status.is_none() {
                    child.kill();
                }
                identities.check(&dir.path().join("state"));
                let bytes = replayed(&child).unwrap_or_else(|error| panic!("{how}: {error}"));
                most_replayed = most_replayed.max(bytes);
                match status.map(|status| status.code()) {
                    // Done before it could be killed, or with nothing left that kills it.
                    Some(Some(0)) => break,
                    None | Some(None) => killed += 1,
                    Some(Some(code)) => panic!("{how}: exit code {code}: {}", child.complaints()),
                }
                say(&format!("kill {killed} {how}"));
            }
            assert!(identities.count() > 0, "there is state on disk");
            directory_is_right(dir.path(), &plan).await;
            identities.check(&dir.path().join("state"));
        }
        say(&format!(
            "embedded: {killed} kills in {directories} directories, 0 wipes, at most {most_replayed} bytes replayed by a start"
        ));
    });
}
