//! An instance is frozen (SIGSTOP), another one takes over, the first one wakes up in the middle of what it was doing.

use millpond_log::faults::Sabotage;
use rustix::process::Signal;

use crate::process::FAILED;
use crate::remote::World;
use crate::settings::{PATIENCE, block_on, kills, plan, say, seed};

pub(crate) fn woken_instance() {
    block_on(async {
        let takeovers = kills(3).min(20);
        take_over(seed(), takeovers, None)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        say(&format!("{takeovers} frozen instances woke up, each was fenced"));
    });
}

/// The bug that this is about, planted: an instance that is fenced takes its transactional id back.
pub(crate) fn unfenced_instance() {
    block_on(async {
        let noticed = take_over(seed(), 3, Some(Sabotage::ZombieTakesOver)).await;
        let noticed = noticed.expect_err("an instance that takes its id back must be noticed");
        say(&format!(
            "{}: caught: {noticed}",
            Sabotage::ZombieTakesOver.name()
        ));
    });
}

/// One instance after another is frozen, replaced, and woken; then outputs and state are held against the input. `Err` when a woken one ends otherwise than fenced.
async fn take_over(seed: u64, takeovers: u64, sabotage: Option<Sabotage>) -> Result<(), String> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut world = World::start(plan(seed, 100 + 150 * takeovers)).await;
    let mut first = world.job("state-0", sabotage);
    first.wait_for("replayed", 1).await?;
    for number in 1..=takeovers {
        // Frozen with work under way.
        for _ in 0..rng.u32(1..5) {
            world.feeder.feed(world.feeder.written() + 15).await?;
        }
        first.signal(Signal::STOP);
        let mut second = world.job(&format!("state-{number}"), sabotage);
        second.wait_for("replayed", 1).await?;
        // The first one wakes before the second is done with it, or after.
        world.feeder.feed(world.feeder.written() + 30).await?;
        if rng.bool() {
            second.tell("catch up");
            second.wait_for("caught up", 1).await?;
        }
        first.signal(Signal::CONT);
        world.feeder.feed(world.feeder.written() + 30).await?;
        let status = first.ended_within(PATIENCE).await;
        let why = first.complaints();
        // Fenced when it writes, or before that it finds that what it was reading is consumed and gone.
        let overtaken = why.contains("fenced") || why.contains("OFFSET_OUT_OF_RANGE");
        if status.and_then(|status| status.code()) != Some(i32::from(FAILED)) || !overtaken {
            return Err(format!(
                "a woken instance did not end because it was fenced ({status:?}): {why}"
            ));
        }
        first = second;
    }
    first.tell("catch up");
    first.wait_for("caught up", 1).await?;
    first.kill();
    world.finish(&format!("state-{takeovers}")).await;
    Ok(())
}
