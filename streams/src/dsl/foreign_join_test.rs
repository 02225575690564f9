//! Cases of Kafka Streams' `KTableKTableForeignKeyJoinIntegrationTest`, `…ScenarioTest` and of the tests of the processors between, with and without coalescing and a
//! store of the result.

use super::table_test_support::{Texts, pipe, read, start, write_changes};
use super::{KTable, Materialized, StreamsBuilder, TableJoined};
use crate::testing::TopologyTestDriver;

const NOTHING: Vec<String> = Vec::new();

type Table = KTable<String, String>;

/// The foreign key stands behind the bar in the value; "returnNull" is none.
#[expect(clippy::ptr_arg, reason = "the join calls it with the table's types")]
pub(super) fn foreign_key(_: &String, value: &String) -> Option<String> {
    let (_, key) = value.split_once('|')?;
    (key != "returnNull").then(|| key.to_owned())
}

pub(super) fn text(left: &str, right: Option<&String>) -> String {
    format!("({left},{})", right.map_or("null", String::as_str))
}

pub(super) fn join(left: &Table, right: &Table, is_left: bool, store: bool) -> Table {
    let (joined, stored) = (TableJoined::default(), Materialized::default());
    match (is_left, store) {
        (false, false) => left.foreign_key_join("joined", right, foreign_key, |left, right| {
            text(left, Some(right))
        }),
        (false, true) => {
            let join = |left: &String, right: &String| text(left, Some(right));
            left.foreign_key_join_with("joined", right, foreign_key, join, joined, stored)
        }
        (true, false) => {
            left.foreign_key_left_join("joined", right, foreign_key, |left, right| text(left, right))
        }
        (true, true) => {
            let join = |left: &String, right: Option<&String>| text(left, right);
            left.foreign_key_left_join_with("joined", right, foreign_key, join, joined, stored)
        }
    }
}

struct Sides {
    driver: TopologyTestDriver,
    left: Texts,
    right: Texts,
    store: bool,
}

impl Sides {
    fn left(&mut self, key: &str, value: &str, timestamp: i64) -> Vec<String> {
        pipe(&mut self.driver, &self.left, key, value, timestamp);
        self.read()
    }

    fn right(&mut self, key: &str, value: &str, timestamp: i64) -> Vec<String> {
        pipe(&mut self.driver, &self.right, key, value, timestamp);
        self.read()
    }

    fn read(&mut self) -> Vec<String> {
        let mut found = read(&mut self.driver, "out");
        found.sort();
        found
    }

    /// Looks at the result's store, if there is one.
    fn assert_stored(&mut self, expected: &[(&str, &str)]) {
        if self.store {
            let entries = self.driver.entries::<String, String>("joined").expect("a store");
            let found: Vec<(&str, &str)> = entries
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect();
            assert_eq!(found, expected);
        }
    }

    fn subscriptions(&mut self) -> usize {
        self.driver
            .entries::<Vec<u8>, Vec<u8>>("joined-subscriptions")
            .expect("a store")
            .len()
    }
}

/// Runs a test for inner and left, with and without a store, coalesced and not.
fn for_all(test: impl Fn(&mut Sides, bool)) {
    for is_left in [false, true] {
        for store in [false, true] {
            for every_update in [false, true] {
                let builder = StreamsBuilder::new();
                let left = builder.table::<String, String>("left", "left");
                let right = builder.table::<String, String>("right", "right");
                join(&left, &right, is_left, store).to_stream().to("out");
                let driver = start(&builder, every_update);
                let (left, right) = (driver.input("left"), driver.input("right"));
                test(
                    &mut Sides {
                        driver,
                        left,
                        right,
                        store,
                    },
                    is_left,
                );
            }
        }
    }
}

#[test]
fn left_entries_join_when_they_come_and_are_deleted_when_they_go() {
    for_all(|sides, _| {
        for (key, value, timestamp) in [
            ("rhs1", "rhsValue1", 0),
            ("rhs2", "rhsValue2", 1),
            ("rhs3", "rhsValue3", 2),
        ] {
            assert_eq!(sides.right(key, value, timestamp), NOTHING);
        }
        assert_eq!(
            sides.left("lhs1", "lhsValue1|rhs1", 3),
            ["lhs1 (lhsValue1|rhs1,rhsValue1)@3"]
        );
        assert_eq!(
            sides.left("lhs2", "lhsValue2|rhs2", 4),
            ["lhs2 (lhsValue2|rhs2,rhsValue2)@4"]
        );
        assert_eq!(
            sides.left("lhs3", "lhsValue3|rhs1", 5),
            ["lhs3 (lhsValue3|rhs1,rhsValue1)@5"]
        );
        sides.assert_stored(&[
            ("lhs1", "(lhsValue1|rhs1,rhsValue1)"),
            ("lhs2", "(lhsValue2|rhs2,rhsValue2)"),
            ("lhs3", "(lhsValue3|rhs1,rhsValue1)"),
        ]);
        assert_eq!(sides.left("lhs1", "", 6), ["lhs1 null@6"]);
        sides.assert_stored(&[
            ("lhs2", "(lhsValue2|rhs2,rhsValue2)"),
            ("lhs3", "(lhsValue3|rhs1,rhsValue1)"),
        ]);
        assert_eq!(sides.subscriptions(), 2);
    });
}

#[test]
fn a_right_entry_changes_all_that_refer_to_it() {
    for_all(|sides, is_left| {
        let half = |key: &str, value: &str, timestamp: i64| match is_left {
            true => vec![format!("{key} ({value},null)@{timestamp}")],
            false => NOTHING,
        };
        assert_eq!(
            sides.left("lhs1", "lhsValue1|rhs1", 0),
            half("lhs1", "lhsValue1|rhs1", 0)
        );
        assert_eq!(
            sides.left("lhs2", "lhsValue2|rhs2", 1),
            half("lhs2", "lhsValue2|rhs2", 1)
        );
        assert_eq!(
            sides.left("lhs3", "lhsValue3|rhs1", 2),
            half("lhs3", "lhsValue3|rhs1", 2)
        );
        let both = [
            "lhs1 (lhsValue1|rhs1,rhsValue1)@3",
            "lhs3 (lhsValue3|rhs1,rhsValue1)@3",
        ];
        assert_eq!(sides.right("rhs1", "rhsValue1", 3), both);
        assert_eq!(
            sides.right("rhs2", "rhsValue2", 4),
            ["lhs2 (lhsValue2|rhs2,rhsValue2)@4"]
        );
        assert_eq!(sides.right("rhs3", "rhsValue3", 5), NOTHING);
        let gone = match is_left {
            true => ["lhs1 (lhsValue1|rhs1,null)@6", "lhs3 (lhsValue3|rhs1,null)@6"],
            false => ["lhs1 null@6", "lhs3 null@6"],
        };
        assert_eq!(sides.right("rhs1", "", 6), gone);
        match is_left {
            true => sides.assert_stored(&[
                ("lhs1", "(lhsValue1|rhs1,null)"),
                ("lhs2", "(lhsValue2|rhs2,rhsValue2)"),
                ("lhs3", "(lhsValue3|rhs1,null)"),
            ]),
            false => sides.assert_stored(&[("lhs2", "(lhsValue2|rhs2,rhsValue2)")]),
        }
    });
}

#[test]
fn a_changed_foreign_key_moves_the_entry_and_its_subscription() {
    for_all(|sides, is_left| {
        // A key that nobody has: an inner join cannot know whether the old one had something, so it deletes.
        let unmatched = |value: &str, timestamp: i64| match is_left {
            true => vec![format!("lhs1 ({value},null)@{timestamp}")],
            false => vec![format!("lhs1 null@{timestamp}")],
        };
        let first = sides.left("lhs1", "lhsValue1|rhs1", 0);
        assert_eq!(
            first,
            if is_left {
                unmatched("lhsValue1|rhs1", 0)
            } else {
                NOTHING
            }
        );
        let moved = sides.left("lhs1", "lhsValue1|rhs2", 1);
        let moved_again = sides.left("lhs1", "lhsValue1|rhs3", 2);
        // Coalesced into a store, a deletion of what is not there is no news.
        let quiet = !is_left && sides.store;
        if !(quiet && moved.is_empty()) {
            assert_eq!(moved, unmatched("lhsValue1|rhs2", 1));
            assert_eq!(moved_again, unmatched("lhsValue1|rhs3", 2));
        }
        assert_eq!(sides.subscriptions(), 1);
        assert_eq!(sides.right("rhs1", "rhsValue1", 3), NOTHING);
        assert_eq!(
            sides.left("lhs1", "lhsValue1|rhs1", 4),
            ["lhs1 (lhsValue1|rhs1,rhsValue1)@4"]
        );
        sides.assert_stored(&[("lhs1", "(lhsValue1|rhs1,rhsValue1)")]);
        assert_eq!(
            sides.left("lhs1", "lhsValue1|rhs2", 5),
            unmatched("lhsValue1|rhs2", 5)
        );
        // Back to the first: the subscription is there again.
        assert_eq!(
            sides.left("lhs1", "lhsValue1|rhs1", 6),
            ["lhs1 (lhsValue1|rhs1,rhsValue1)@6"]
        );
        assert_eq!(
            sides.right("rhs1", "changed", 7),
            ["lhs1 (lhsValue1|rhs1,changed)@7"]
        );
        assert_eq!(sides.subscriptions(), 1);
    });
}

#[test]
fn a_right_entry_no_longer_referred_to_changes_nothing() {
    for_all(|sides, _| {
        sides.right("rhs1", "rhsValue1", 0);
        sides.right("rhs2", "rhsValue2", 1);
        assert_eq!(
            sides.left("lhs1", "lhsValue1|rhs1", 2),
            ["lhs1 (lhsValue1|rhs1,rhsValue1)@2"]
        );
        assert_eq!(
            sides.left("lhs1", "lhsValue1|rhs2", 3),
            ["lhs1 (lhsValue1|rhs2,rhsValue2)@3"]
        );
        assert_eq!(sides.right("rhs1", "rhsValue1Delta", 4), NOTHING);
        sides.assert_stored(&[("lhs1", "(lhsValue1|rhs2,rhsValue2)")]);
    });
}

#[test]
fn an_entry_without_a_foreign_key_is_skipped_by_an_inner_join_only() {
    for_all(|sides, is_left| {
        let expected = match is_left {
            true => vec!["lhs1 (lhsValue1|returnNull,null)@0".to_owned()],
            false => NOTHING,
        };
        assert_eq!(sides.left("lhs1", "lhsValue1|returnNull", 0), expected);
        assert_eq!(sides.driver.counters().skipped, u64::from(!is_left));
        assert_eq!(sides.subscriptions(), 0);
    });
}

#[test]
fn an_entry_that_loses_its_foreign_key_is_unsubscribed() {
    for_all(|sides, is_left| {
        sides.right("rhs1", "rhsValue1", 0);
        assert_eq!(
            sides.left("lhs1", "lhsValue1|rhs1", 1),
            ["lhs1 (lhsValue1|rhs1,rhsValue1)@1"]
        );
        let expected = match is_left {
            true => "lhs1 (lhsValue1|returnNull,null)@2",
            false => "lhs1 null@2",
        };
        assert_eq!(sides.left("lhs1", "lhsValue1|returnNull", 2), [expected]);
        assert_eq!(sides.subscriptions(), 0);
        assert_eq!(sides.right("rhs1", "changed", 3), NOTHING);
        assert_eq!(
            sides.left("lhs1", "lhsValue1|rhs1", 4),
            ["lhs1 (lhsValue1|rhs1,changed)@4"]
        );
    });
}

#[test]
fn a_deleted_entry_that_never_joined_is_deleted_all_the_same() {
    for_all(|sides, is_left| {
        sides.left("lhs1", "lhsValue1|rhs1", 0);
        let deleted = sides.left("lhs1", "", 1);
        if is_left || !sides.store || !deleted.is_empty() {
            assert_eq!(deleted, ["lhs1 null@1"]);
        }
        // Deleting it again is no change at all.
        assert_eq!(sides.left("lhs1", "", 2), NOTHING);
        assert_eq!(sides.subscriptions(), 0);
    });
}

#[test]
fn a_result_carries_the_later_of_both_timestamps() {
    for_all(|sides, _| {
        sides.right("rhs1", "rhsValue1", 10);
        assert_eq!(
            sides.left("lhs1", "lhsValue1|rhs1", 3),
            ["lhs1 (lhsValue1|rhs1,rhsValue1)@10"]
        );
    });
}

#[test]
fn the_result_can_be_joined_with_the_left_table_again() {
    let builder = StreamsBuilder::new();
    let left = builder.table::<String, String>("left", "left");
    let right = builder.table::<String, String>("right", "right");
    let joined = join(&left, &right, false, false);
    joined
        .join(&left, |joined, left| format!("rejoin({joined},{left})"))
        .to_stream()
        .to("out");
    let mut driver = start(&builder, false);
    let (left, right) = (driver.input("left"), driver.input("right"));
    pipe(&mut driver, &right, "rhs1", "rhsValue1", 0);
    pipe(&mut driver, &left, "lhs1", "lhsValue1|rhs1", 1);
    assert_eq!(
        read(&mut driver, "out"),
        ["lhs1 rejoin((lhsValue1|rhs1,rhsValue1),lhsValue1|rhs1)@1"]
    );
    let entries = driver
        .entries::<String, String>("joined")
        .expect("made for the second join");
    assert_eq!(entries.len(), 1);
}

#[test]
fn the_result_has_old_values_when_asked() {
    let builder = StreamsBuilder::new();
    let left = builder.table::<String, String>("left", "left");
    let right = builder.table::<String, String>("right", "right");
    let joined = join(&left, &right, false, false);
    joined.enable_old_values();
    write_changes(&joined, "out");
    let mut driver = start(&builder, false);
    let (left, right) = (driver.input("left"), driver.input("right"));
    pipe(&mut driver, &right, "r", "1", 0);
    pipe(&mut driver, &left, "l", "a|r", 1);
    pipe(&mut driver, &right, "r", "2", 2);
    pipe(&mut driver, &left, "l", "", 3);
    assert_eq!(
        read(&mut driver, "out"),
        ["l (a|r,1)<--@1", "l (a|r,2)<-(a|r,1)@2", "l -<-(a|r,2)@3"]
    );
}

#[test]
fn a_table_joins_with_itself_over_a_foreign_key() {
    let builder = StreamsBuilder::new();
    let people = builder.table::<String, String>("people", "people");
    people
        .foreign_key_left_join("managers", &people, foreign_key, |person, manager| {
            text(person, manager)
        })
        .to_stream()
        .to("out");
    let mut driver = start(&builder, false);
    let people = driver.input("people");
    pipe(&mut driver, &people, "ann", "Ann|bob", 0);
    pipe(&mut driver, &people, "bob", "Bob|returnNull", 1);
    let mut found = read(&mut driver, "out");
    found.sort();
    assert_eq!(
        found,
        [
            "ann (Ann|bob,Bob|returnNull)@1",
            "ann (Ann|bob,null)@0",
            "bob (Bob|returnNull,null)@1"
        ]
    );
}

#[test]
fn a_composite_key_gives_the_foreign_key() {
    let builder = StreamsBuilder::new();
    let products = builder.table::<String, String>("products", "products");
    let makers = builder.table::<String, String>("makers", "makers");
    let maker = |key: &String, _: &String| key.split(':').next().map(str::to_owned);
    products
        .foreign_key_join("with-maker", &makers, maker, |product, maker| {
            text(product, Some(maker))
        })
        .to_stream()
        .to("out");
    let mut driver = start(&builder, false);
    let (products, makers) = (driver.input("products"), driver.input("makers"));
    pipe(&mut driver, &products, "m1:p1", "one", 0);
    pipe(&mut driver, &products, "m1:p2", "two", 0);
    pipe(&mut driver, &products, "m2:p1", "three", 0);
    pipe(&mut driver, &makers, "m1", "first", 1);
    pipe(&mut driver, &makers, "m2", "second", 1);
    let mut found = read(&mut driver, "out");
    found.sort();
    assert_eq!(
        found,
        [
            "m1:p1 (one,first)@1",
            "m1:p2 (two,first)@1",
            "m2:p1 (three,second)@1"
        ]
    );
}
