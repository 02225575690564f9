//! The file system of the state directory runs full under a job, and is given room again.
//!
//! The job's state is on a file system in memory that only it sees (`unshare`, `mount`); where such a one cannot be made, the test says so and proves nothing.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use millpond_log::clock::{Clock, SystemClock};

use crate::child::show_plan;
use crate::process::{Child, Identities};
use crate::remote::World;
use crate::settings::{PATIENCE, block_on, plan, say, seed};
use crate::verdict::is_right;

/// Mounts, runs the job until it ends, waits for a word, runs it again, and keeps the mount until stdin ends.
const SCRIPT: &str = r#"
mount -t tmpfs -o size=128m tmpfs "$1" || exit 1
shift
"$@"; echo "ended $?"
while read word && [ "$word" != "go on" ]; do :; done
"$@"; echo "ended $?"
cat > /dev/null
"#;

fn can_mount() -> bool {
    let probe = Command::new("unshare")
        .args([
            "--map-root-user",
            "--mount",
            "mount",
            "-t",
            "tmpfs",
            "tmpfs",
            "/mnt",
        ])
        .output();
    probe.is_ok_and(|output| output.status.success())
}

/// Writes until nothing more fits.
fn fill(dir: &Path) -> PathBuf {
    let ballast = dir.join("ballast");
    let mut file = std::fs::File::create(&ballast).expect("a file of our own");
    let mut size = 1 << 20;
    while size > 0 {
        if file.write_all(&vec![1; size]).is_err() {
            size /= 2;
        }
    }
    ballast
}

pub(crate) fn a_full_state_disk() {
    if !can_mount() {
        say("full state disk: SKIPPED, a file system of one's own cannot be mounted here");
        return;
    }
    block_on(async {
        let plan = plan(seed(), 900);
        let mut world = World::start(plan).await;
        let state = world.state("state");
        std::fs::create_dir(&state).expect("a directory");
        let this = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new("unshare");
        command
            .args(["--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh"])
            .arg(&state)
            .arg(this)
            .args(["--child", "job"])
            .arg(world.address())
            .arg(&state)
            .arg(show_plan(&plan));
        let mut shell = Child::start(command, world.home.path());
        shell.wait_for("replayed", 1).await.expect("the job runs");
        world.feeder.feed(150).await.expect("the input is taken");
        shell.tell("catch up");
        shell.wait_for("caught up", 1).await.expect("it catches up");
        // As the job sees it.
        let seen = PathBuf::from(format!("/proc/{}/root{}", shell.id(), state.display()));
        let mut identities = Identities::default();
        identities.check(&seen);
        let ballast = fill(&seen);
        let clock = SystemClock::new();
        let mut until = 150;
        while shell.said("ended").is_empty() {
            until += 20;
            assert!(
                until < plan.records,
                "the job never noticed that its disk is full"
            );
            world.feeder.feed(until).await.expect("the input is taken");
            let caught_up = shell.said("caught up").len();
            shell.tell("catch up");
            while shell.said("caught up").len() == caught_up && shell.said("ended").is_empty() {
                clock.sleep(Duration::from_millis(10)).await;
                assert!(clock.monotonic() < PATIENCE, "neither caught up nor ended");
            }
        }
        let complaints = shell.complaints();
        assert!(complaints.contains("No space left on device"), "{complaints}");
        assert_eq!(shell.said("ended"), ["7"], "{complaints}");
        std::fs::remove_file(ballast).expect("room again");
        shell.tell("go on");
        shell.wait_for("replayed", 2).await.expect("the job runs again");
        identities.check(&seen);
        world.feeder.finish().await.expect("the input is taken");
        shell.tell("catch up");
        let caught_up = shell.said("caught up").len();
        shell
            .wait_for("caught up", caught_up + 1)
            .await
            .expect("it catches up");
        shell.tell("stop");
        assert_eq!(shell.wait_for("ended", 2).await.expect("it ends"), "0");
        let address = world.address();
        is_right(
            &*world.log,
            &plan,
            |launcher| launcher.connect(address.clone()),
            &seen,
        )
        .await;
        identities.check(&seen);
        say("full state disk: named, nothing wiped, went on with more room");
        world.stop().await;
    });
}
