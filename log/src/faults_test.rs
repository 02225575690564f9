//! Behaviour of kill points and planted bugs.

use std::sync::atomic::AtomicUsize;

use super::*;

#[test]
fn only_the_planted_bugs_are_active() {
    let faults = Faults::with_sabotage([Sabotage::SkipFsync]);
    assert!(faults.sabotaged(Sabotage::SkipFsync));
    assert!(!faults.sabotaged(Sabotage::SkipFencing));
    assert!(!Faults::none().sabotaged(Sabotage::SkipFsync));
}

#[test]
fn a_kill_point_fires_at_its_hit_and_no_other() {
    let kill = KillPoint::parse("K12:3").expect("legal");
    assert_eq!(
        ["K12", "K1", "K12", "K12", "K12"].map(|name| kill.hit(name)),
        [false, false, false, true, false]
    );
    assert!(KillPoint::parse("K1").expect("legal").hit("K1"));
    for wrong in ["", ":1", "K1:0", "K1:x", "K 1:1"] {
        assert!(KillPoint::parse(wrong).is_none(), "{wrong:?}");
    }
}

#[test]
fn a_hook_sees_every_point_by_name_and_clones_share_it() {
    let hits = Arc::new(AtomicUsize::new(0));
    let counted = hits.clone();
    let faults = Faults::none().on_point(Arc::new(move |name| {
        assert_eq!(name, "K4");
        counted.fetch_add(1, Ordering::SeqCst);
    }));
    faults.point("K4");
    faults.clone().point("K4");
    assert_eq!(hits.load(Ordering::SeqCst), 2);
}

#[test]
fn names_of_planted_bugs_are_unique_and_read_back() {
    for sabotage in Sabotage::ALL {
        assert_eq!(Sabotage::from_name(sabotage.name()), Some(sabotage));
    }
    assert_eq!(Sabotage::from_name("no-such-bug"), None);
}
