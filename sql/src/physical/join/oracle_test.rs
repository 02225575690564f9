//! Joins beside DataFusion's batch results: random changes of both sides, cut, committed, lost and restarted at random.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::test_world::{Condition, Relation, Row, World, batch, plan, side_schema, sum_up};
use super::*;
use crate::plain;

const KINDS: [JoinType; 10] = [
    JoinType::Inner,
    JoinType::Left,
    JoinType::Right,
    JoinType::Full,
    JoinType::LeftSemi,
    JoinType::RightSemi,
    JoinType::LeftAnti,
    JoinType::RightAnti,
    JoinType::LeftMark,
    JoinType::RightMark,
];

fn sql(plan: &JoinPlan, condition: Condition) -> String {
    let equal = if plan.null_equals_null {
        "IS NOT DISTINCT FROM"
    } else {
        "="
    };
    let names = ["a", "b", "v"];
    let keys = plan
        .keys
        .iter()
        .map(|(l, r)| format!("(l.{} {equal} r.{})", names[*l], names[*r]));
    let all: Vec<String> = keys.chain(condition.text().map(str::to_owned)).collect();
    let on = if all.is_empty() {
        "true".to_owned()
    } else {
        all.join(" AND ")
    };
    let select = |join: &str, more: &str| format!("SELECT *{more} FROM l {join} JOIN r ON {on}");
    match plan.kind {
        JoinType::Inner => select("INNER", ""),
        JoinType::Left => select("LEFT", ""),
        JoinType::Right => select("RIGHT", ""),
        JoinType::Full => select("FULL", ""),
        JoinType::LeftSemi => select("LEFT SEMI", ""),
        JoinType::RightSemi => select("RIGHT SEMI", ""),
        JoinType::LeftAnti => select("LEFT ANTI", ""),
        JoinType::RightAnti => select("RIGHT ANTI", ""),
        JoinType::LeftMark => format!(
            "{} UNION ALL {}",
            select("LEFT SEMI", ", true AS mark"),
            select("LEFT ANTI", ", false AS mark")
        ),
        JoinType::RightMark => format!(
            "{} UNION ALL {}",
            select("RIGHT SEMI", ", true AS mark"),
            select("RIGHT ANTI", ", false AS mark")
        ),
    }
}

/// What DataFusion says of these rows.
async fn expected(sql: &str, sides: &[BTreeMap<Row, i64>; 2]) -> Relation {
    let session = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    for (name, rows) in ["l", "r"].into_iter().zip(sides) {
        let copies: Vec<Row> = rows
            .iter()
            .flat_map(|(row, weight)| (0..*weight).map(|_| *row))
            .collect();
        let table = MemTable::try_new(side_schema(), vec![vec![batch(&copies)]]).unwrap();
        session.register_table(name, Arc::new(table)).unwrap();
    }
    let mut relation = Relation::new();
    for batch in plain::query(&session, sql).await.unwrap() {
        sum_up(&mut relation, &batch, |_| 1);
    }
    relation
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    fn perhaps(&mut self, bound: u64) -> Option<i64> {
        (self.below(7) > 0).then(|| self.below(bound) as i64)
    }

    fn row(&mut self) -> Row {
        (self.perhaps(3), self.perhaps(2).map(|b| b as u8), self.perhaps(4))
    }
}

async fn agrees(kind: JoinType, seed: u64) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let keys = random.pick(&[&[][..], &[0], &[0], &[1, 0], &[0, 1, 2]]);
    let condition = random.pick(&[
        Condition::None,
        Condition::None,
        Condition::Less,
        Condition::SumOver,
        Condition::Never,
    ]);
    let limits = Limits {
        chunk: random.pick(&[1, 3, 8192]),
        block_rows: random.pick(&[1, 2, 8192]),
        block_bytes: random.pick(&[1, 60, 1 << 20]),
        cache_bytes: random.pick(&[0, 600, 1 << 20]),
        cache_key_bytes: random.pick(&[0, 120, 1 << 14]),
    };
    let plan = plan(kind, keys, random.below(4) == 0, condition);
    let sql = sql(&plan, condition);
    let mut world = World::new(plan, limits);
    let mut sides: [BTreeMap<Row, i64>; 2] = Default::default();
    for _ in 0..random.below(22) + 6 {
        match random.below(12) {
            0 => world.abort(),
            1 => world.restart(),
            2..5 => {
                world.commit();
                let is_sound = sides.iter().all(|rows| rows.values().all(|weight| *weight > 0));
                if is_sound && random.below(3) == 0 {
                    assert_eq!(world.relation, expected(&sql, &sides).await, "seed {seed}: {sql}");
                }
            }
            _ => {
                let port = random.below(2) as usize;
                let rows = &mut sides[port];
                let mut changes = Vec::new();
                for _ in 0..random.below(8) + 1 {
                    let known: Vec<Row> = rows.keys().copied().collect();
                    let (row, weight) = match random.below(4) {
                        0 if !known.is_empty() => {
                            let row = random.pick(&known);
                            (row, -rows[&row])
                        }
                        1 => (random.row(), -1),
                        _ => (random.row(), random.pick(&[1, 1, 1, 2])),
                    };
                    *rows.entry(row).or_default() += weight;
                    rows.retain(|_, weight| *weight != 0);
                    changes.push((row, weight));
                }
                world.send(port, &changes);
            }
        }
    }
    // What was taken back too early comes.
    for port in [1, 0] {
        let rows = &mut sides[port];
        let owed: Vec<(Row, i64)> = rows
            .iter()
            .filter(|(_, weight)| **weight < 0)
            .map(|(row, weight)| (*row, -weight))
            .collect();
        rows.retain(|_, weight| *weight > 0);
        if !owed.is_empty() {
            world.send(port, &owed);
        }
    }
    world.commit();
    assert_eq!(world.relation, expected(&sql, &sides).await, "seed {seed}: {sql}");
    // Nothing stays of rows that are gone.
    for port in [0, 1] {
        assert!(
            world.stored(port).len() <= sides[port].len(),
            "seed {seed}: {sql}"
        );
    }
}

#[tokio::test]
async fn every_kind_of_join_is_that_of_a_batch_query() {
    for seed in 0..400 {
        agrees(KINDS[seed as usize % KINDS.len()], seed).await;
    }
}
