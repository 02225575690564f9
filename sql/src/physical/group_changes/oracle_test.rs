//! Random changes against DataFusion's batch result over what they add up to.
//!
//! Always true: a case is its seed alone; rows are taken back before they came, batches and commits are cut anywhere, transactions are lost and
//! processes end; the sum of the output is the batch result after every commit at which no row is owed.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::Limits;
use super::test_world::{NO_LIMITS, Relation, Row, World, batch_result, query};

/// Every aggregate, and how they go together.
const QUERIES: &[(&str, bool)] = &[
    (
        "SELECT k, COUNT(*), COUNT(i), SUM(i), SUM(n), AVG(i), MIN(i), MAX(i) FROM t GROUP BY k",
        true,
    ),
    (
        "SELECT COUNT(*), COUNT(s), SUM(i), MIN(s), MAX(ts), AVG(f), COUNT(DISTINCT n) FROM t",
        false,
    ),
    (
        "SELECT k, n, SUM(f), SUM(d), AVG(d), AVG(f), MIN(f), MAX(d), MIN(b), MAX(s) FROM t GROUP BY k, n",
        true,
    ),
    (
        "SELECT b, COUNT(DISTINCT s), COUNT(DISTINCT i), SUM(DISTINCT i), AVG(DISTINCT f), SUM(DISTINCT d), MIN(i) FROM t GROUP BY b",
        true,
    ),
    (
        "SELECT k, COUNT(*) FILTER (WHERE b), SUM(i) FILTER (WHERE n > 1), MIN(s) FILTER (WHERE b), \
         COUNT(DISTINCT s) FILTER (WHERE i > 0), ARRAY_AGG(i ORDER BY i) FILTER (WHERE b) FROM t GROUP BY k",
        true,
    ),
    (
        "SELECT k, ARRAY_AGG(s ORDER BY i DESC, s), ARRAY_AGG(DISTINCT s ORDER BY s DESC), FIRST_VALUE(s ORDER BY i, s), \
         LAST_VALUE(i ORDER BY f, i), COUNT(*) FROM t GROUP BY k",
        true,
    ),
    (
        "SELECT k, STRING_AGG(s, '-' ORDER BY ts, s), SUM(i) FROM t GROUP BY k",
        true,
    ),
    (
        "SELECT k, NTH_VALUE(i, 2 ORDER BY i), NTH_VALUE(s, -1 ORDER BY i, s) FROM t GROUP BY k",
        true,
    ),
    (
        "SELECT n, MEDIAN(i), MEDIAN(f), APPROX_DISTINCT(s), APPROX_PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY f), \
         PERCENTILE_CONT(0.25) WITHIN GROUP (ORDER BY f), APPROX_MEDIAN(f) FROM t GROUP BY n",
        true,
    ),
    (
        "SELECT k, STDDEV(f), STDDEV_POP(f), VAR_SAMP(f), VAR_POP(f), CORR(f, i), COVAR_SAMP(f, i), COVAR_POP(f, i), \
         REGR_SLOPE(f, i) FROM t GROUP BY k",
        true,
    ),
    (
        "SELECT ts, BOOL_AND(b), BOOL_OR(b), BIT_AND(i), BIT_OR(i), BIT_XOR(i), MEDIAN(DISTINCT i), COUNT(DISTINCT b) FROM t GROUP BY ts",
        true,
    ),
    (
        "SELECT k, REGR_SLOPE(f, i), REGR_INTERCEPT(f, i), REGR_COUNT(f, i), REGR_R2(f, i), REGR_AVGX(f, i), REGR_AVGY(f, i), REGR_SXX(f, i), \
         REGR_SYY(f, i), REGR_SXY(f, i) FROM t GROUP BY k",
        true,
    ),
    (
        "SELECT k, APPROX_PERCENTILE_CONT_WITH_WEIGHT(2, 0.5) WITHIN GROUP (ORDER BY f), APPROX_PERCENTILE_CONT(0.9, 50) WITHIN GROUP (ORDER BY f), \
         STRING_AGG(DISTINCT s, ',' ORDER BY s), MEDIAN(d) FROM t GROUP BY k",
        true,
    ),
    (
        "SELECT n, SUM(i) FILTER (WHERE b), MAX(s) FILTER (WHERE k = 'k1'), SUM(DISTINCT f) FILTER (WHERE b), \
         STRING_AGG(s, '' ORDER BY s DESC NULLS LAST) FILTER (WHERE i > 2), BOOL_AND(b) FILTER (WHERE n = 1) FROM t GROUP BY n",
        true,
    ),
    ("SELECT d, f, COUNT(*) FROM t GROUP BY d, f", true),
    ("SELECT k FROM t GROUP BY k", true),
    (
        "SELECT SUM(i), STRING_AGG(s, ',' ORDER BY s), FIRST_VALUE(s ORDER BY s) IGNORE NULLS, ARRAY_AGG(s ORDER BY s) FROM t",
        false,
    ),
];

#[derive(Debug, Clone)]
enum Step {
    /// A batch of rows: number of a row, weight.
    Rows(Vec<(usize, i64)>),
    Commit,
    Abort,
    Restart,
}

fn row() -> impl Strategy<Value = Row> {
    let value = |max: i64| prop_oneof![1 => Just(None), 5 => (-1..max).prop_map(Some)];
    (
        value(2),
        value(3),
        value(9),
        value(4),
        value(9),
        value(50),
        value(3),
        value(2),
    )
        .prop_map(|(k, n, i, s, f, d, ts, b)| [k, n, i, s, f, d, ts, b])
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rows = prop::collection::vec(
        (0..12_usize, prop_oneof![Just(1_i64), Just(-1), Just(2), Just(-2)]),
        1..12,
    );
    let step = prop_oneof![
        6 => rows.prop_map(Step::Rows),
        3 => Just(Step::Commit),
        1 => Just(Step::Abort),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..10)
}

fn limits() -> impl Strategy<Value = Limits> {
    let tight = Limits {
        groups: 0,
        values: 0,
        chunk: 2,
    };
    prop_oneof![Just(NO_LIMITS), Just(tight)]
}

/// Without rows a group without keys is not there until the first input.
fn expected(sql: &str, rows: &BTreeMap<Row, i64>, has_input: bool) -> Relation {
    if has_input {
        batch_result(sql, rows)
    } else {
        Relation::new()
    }
}

fn run(number: usize, rows: &[Row], steps: &[Step], limits: Limits) {
    let (sql, is_keyed) = QUERIES[number];
    let mut world = World::new(query(sql, false), limits);
    let mut sums: BTreeMap<Row, i64> = BTreeMap::new();
    let (mut has_input, mut has_sent) = (false, false);
    let check = |world: &mut World, sums: &BTreeMap<Row, i64>, has_input: bool| {
        world.commit();
        if sums.values().all(|weight| *weight >= 0) {
            assert_eq!(
                world.relation,
                expected(sql, sums, has_input || is_keyed),
                "{sql}"
            );
        }
    };
    for step in steps {
        match step {
            Step::Rows(changes) => {
                let changes: Vec<(Row, i64)> = changes
                    .iter()
                    .map(|(row, weight)| (rows[row % rows.len()], *weight))
                    .collect();
                for (row, weight) in &changes {
                    *sums.entry(*row).or_default() += weight;
                }
                world.send(&changes);
                has_sent = true;
            }
            Step::Commit => {
                has_input |= has_sent;
                check(&mut world, &sums, has_input);
            }
            Step::Abort => world.abort(),
            Step::Restart => world.restart(),
        }
    }
    // What is owed comes, in one batch more.
    let owed: Vec<(Row, i64)> = sums
        .iter()
        .filter(|(_, weight)| **weight < 0)
        .map(|(row, weight)| (*row, 1 - weight))
        .collect();
    for (row, weight) in &owed {
        *sums.entry(*row).or_default() += weight;
    }
    if !owed.is_empty() {
        world.send(&owed);
        has_sent = true;
    }
    check(&mut world, &sums, has_sent);
}

fn oracle(queries: std::ops::Range<usize>, cases: u32) {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let seed = [7; 32];
    println!("seed {seed:?}");
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let inputs = (queries, prop::collection::vec(row(), 1..12), steps(), limits());
    TestRunner::new_with_rng(config, rng)
        .run(&inputs, |(number, rows, steps, limits)| {
            run(number, &rows, &steps, limits);
            Ok(())
        })
        .unwrap();
}

#[test]
fn sums_and_extremes_add_up_to_the_batch_result() {
    oracle(0..5, 120);
}

#[test]
fn aggregates_that_keep_their_values_add_up_to_the_batch_result() {
    oracle(5..QUERIES.len(), 200);
}

/// Rows only added: the extremes alone are kept.
#[test]
fn rows_that_are_only_added_add_up_to_the_batch_result() {
    let sql = "SELECT k, MIN(i), MAX(i), MIN(s), MAX(s), MIN(f), MAX(d), MIN(ts), MAX(b), COUNT(*) FROM t GROUP BY k";
    let config = Config {
        cases: 40,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[8; 32]);
    let batches = prop::collection::vec((prop::collection::vec(row(), 1..6), any::<bool>()), 1..6);
    TestRunner::new_with_rng(config, rng)
        .run(&(batches, limits()), |(batches, limits)| {
            let mut world = World::new(query(sql, true), limits);
            let mut sums: BTreeMap<Row, i64> = BTreeMap::new();
            for (rows, restarts) in batches {
                rows.iter().for_each(|row| *sums.entry(*row).or_default() += 1);
                let changes: Vec<(Row, i64)> = rows.into_iter().map(|row| (row, 1)).collect();
                world.send(&changes);
                if restarts {
                    world.restart();
                }
                world.commit();
                assert_eq!(world.relation, batch_result(sql, &sums));
            }
            Ok(())
        })
        .unwrap();
}
