//! Behaviour of the three clocks.

use std::time::Duration;

use futures::FutureExt;

use super::*;

#[test]
fn the_system_clock_shows_this_century() {
    let clock = SystemClock::new();
    assert!(clock.now_ms() > 1_600_000_000_000, "{}", clock.now_ms());
    assert!(clock.monotonic() <= clock.monotonic());
}

#[tokio::test(start_paused = true)]
async fn simulated_hours_pass_at_once_and_move_the_wall_clock() {
    let clock = SimClock::new(1_000);
    clock.sleep(Duration::from_secs(3_600)).await;
    assert_eq!(clock.now_ms(), 1_000 + 3_600_000);
    clock.jump_wall(-5_000);
    assert_eq!(clock.now_ms(), 1_000 + 3_600_000 - 5_000);
    assert_eq!(clock.monotonic(), Duration::from_secs(3_600));
}

#[test]
fn a_manual_clock_wakes_sleepers_only_when_their_time_has_come() {
    let clock = ManualClock::new(50);
    let mut short = clock.sleep(Duration::from_millis(10));
    let mut long = clock.sleep(Duration::from_millis(20));
    assert_eq!((&mut short).now_or_never(), None);
    clock.advance(Duration::from_millis(10));
    assert_eq!((&mut short).now_or_never(), Some(()));
    assert_eq!((&mut long).now_or_never(), None);
    clock.advance(Duration::from_millis(10));
    assert_eq!((&mut long).now_or_never(), Some(()));
    assert_eq!(clock.now_ms(), 70);
    assert_eq!(clock.sleep(Duration::ZERO).now_or_never(), Some(()));
}
