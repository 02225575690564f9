//! Joins: keys become columns, both sides go to the task of their key, an operator keeps both.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::{DFSchema, DFSchemaRef, JoinType, NullEquality};
use datafusion::logical_expr::{Expr, Join, LogicalPlan};

use super::draft::{Drafted, Role};
use super::{Builder, column_of, identity};
use crate::error::{Result, SqlError};
use crate::logical::{JoinFilter, JoinPlan, Operator};
use crate::planner::plan_error;

/// One side with the columns of its keys.
struct Side {
    node: usize,
    /// The columns of the logical input, then the computed keys.
    schema: DFSchema,
    /// How many columns the logical input has.
    columns: usize,
    keys: Vec<usize>,
}

impl Builder<'_> {
    pub(super) fn join(&mut self, join: &Join) -> Result<usize> {
        if join.null_aware {
            let error = SqlError::unsupported(
                "NOT IN (SELECT …) over columns that may be NULL is not supported in continuous queries",
            )
            .with_hint("write NOT EXISTS (SELECT … WHERE …), or make sure both columns are NOT NULL");
            return Err(self.finder.at(error, "IN"));
        }
        let mark = self.draft.mark();
        let left = self.side(&join.left, join.on.iter().map(|(left, _)| left), "left")?;
        let right = self.side(&join.right, join.on.iter().map(|(_, right)| right), "right")?;
        let filter = match &join.filter {
            None => None,
            Some(filter) => {
                let pair = left
                    .schema
                    .join(&right.schema)
                    .map_err(|e| plan_error(e, self.finder))?;
                Some(JoinFilter {
                    predicate: self.physical(filter, &pair)?,
                    text: filter.to_string(),
                })
            }
        };
        let keys: Vec<(usize, usize)> = left
            .keys
            .iter()
            .copied()
            .zip(right.keys.iter().copied())
            .collect();
        let ports = [
            self.shuffle(left.node, left.keys.clone(), 0),
            self.shuffle(right.node, right.keys.clone(), 1),
        ];
        let (l, r) = (self.draft.node(ports[0]), self.draft.node(ports[1]));
        let words = format!(
            "{} join on {keys:?} where {}",
            join.join_type,
            filter.as_ref().map_or("", |filter| filter.text.as_str())
        );
        let identity = identity::over(&words, &[&l.identity, &r.identity]);
        let sides = [Arc::clone(&l.schema), Arc::clone(&r.schema)];
        let (left_key, right_key) = (l.key.clone(), r.key.clone());
        let append_only = l.append_only && r.append_only && join.join_type == JoinType::Inner;
        let schema = joined(&sides, join.join_type);
        let width = sides[0].fields().len();
        let plan = JoinPlan {
            kind: join.join_type,
            keys,
            null_equals_null: join.null_equality == NullEquality::NullEqualsNull,
            filter,
            left: Arc::clone(&sides[0]),
            right: Arc::clone(&sides[1]),
            schema: Arc::clone(&schema),
            stores: [
                self.draft.name("left", &identity),
                self.draft.name("right", &identity),
            ],
        };
        let shifted = |columns: &[usize]| columns.iter().map(|c| c + width).collect::<Vec<_>>();
        let node = self.draft.add(Drafted {
            operator: Operator::Join(plan),
            inputs: ports.to_vec(),
            roles: vec![Role::Computed; schema.fields().len()],
            schema,
            append_only,
            key: key_of(join.join_type, &left, &right, left_key, right_key, &shifted),
            placed_by: match join.join_type {
                JoinType::Inner
                | JoinType::Left
                | JoinType::LeftSemi
                | JoinType::LeftAnti
                | JoinType::LeftMark => Some(left.keys.clone()),
                JoinType::Right => Some(shifted(&right.keys)),
                JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => Some(right.keys.clone()),
                JoinType::Full => None,
            },
            identity,
        });
        let node = self.draft.shared(node, mark);
        self.without_computed_keys(node, join, &left, &right)
    }

    /// The rows of one side, with its keys as columns.
    fn side<'k>(
        &mut self,
        input: &LogicalPlan,
        keys: impl Iterator<Item = &'k Expr>,
        name: &str,
    ) -> Result<Side> {
        let below: &DFSchemaRef = input.schema();
        let node = self.visit(input)?;
        let columns = below.fields().len();
        let mut positions = Vec::new();
        let mut computed: Vec<&Expr> = Vec::new();
        for key in keys {
            positions.push(match column_of(key, below) {
                Some(column) => column,
                None => {
                    computed.push(key);
                    columns + computed.len() - 1
                }
            });
        }
        let (node, schema) = self.with_computed(node, below, &computed, name)?;
        Ok(Side {
            node,
            schema,
            columns,
            keys: positions,
        })
    }

    /// Drops the computed keys and gives the columns the types and names the logical plan has for them.
    fn without_computed_keys(
        &mut self,
        node: usize,
        join: &Join,
        left: &Side,
        right: &Side,
    ) -> Result<usize> {
        let width = left.schema.fields().len();
        let wanted: Vec<usize> = match join.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti => (0..left.columns).collect(),
            JoinType::RightSemi | JoinType::RightAnti => (0..right.columns).collect(),
            JoinType::LeftMark => (0..left.columns).chain([width]).collect(),
            JoinType::RightMark => (0..right.columns).chain([right.schema.fields().len()]).collect(),
            _ => (0..left.columns)
                .chain((0..right.columns).map(|c| width + c))
                .collect(),
        };
        Ok(self.select(node, &wanted, Arc::new(join.schema.as_arrow().clone())))
    }
}

/// The columns of a join's rows. Their names are those of the inputs, and may repeat.
fn joined(sides: &[SchemaRef; 2], kind: JoinType) -> SchemaRef {
    let fields = |side: usize, padded: bool| {
        sides[side].fields().iter().map(move |field| {
            let nullable = field.is_nullable() || padded;
            Arc::new(field.as_ref().clone().with_nullable(nullable))
        })
    };
    let mark = || {
        Arc::new(Field::new(
            "mark",
            datafusion::arrow::datatypes::DataType::Boolean,
            false,
        ))
    };
    let all: Vec<Arc<Field>> = match kind {
        JoinType::LeftSemi | JoinType::LeftAnti => fields(0, false).collect(),
        JoinType::RightSemi | JoinType::RightAnti => fields(1, false).collect(),
        JoinType::LeftMark => fields(0, false).chain([mark()]).collect(),
        JoinType::RightMark => fields(1, false).chain([mark()]).collect(),
        JoinType::Inner => fields(0, false).chain(fields(1, false)).collect(),
        JoinType::Left => fields(0, false).chain(fields(1, true)).collect(),
        JoinType::Right => fields(0, true).chain(fields(1, false)).collect(),
        JoinType::Full => fields(0, true).chain(fields(1, true)).collect(),
    };
    Arc::new(Schema::new(all))
}

/// The columns that tell the rows of a join apart.
fn key_of(
    kind: JoinType,
    left: &Side,
    right: &Side,
    left_key: Option<Vec<usize>>,
    right_key: Option<Vec<usize>>,
    shifted: &dyn Fn(&[usize]) -> Vec<usize>,
) -> Option<Vec<usize>> {
    let one_per = |key: &Option<Vec<usize>>, columns: &[usize]| {
        key.as_ref()
            .is_some_and(|key| key.iter().all(|column| columns.contains(column)))
    };
    match kind {
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => left_key,
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right_key,
        // Each row of one side meets one of the other at most.
        JoinType::Inner | JoinType::Left if one_per(&right_key, &right.keys) && left_key.is_some() => {
            left_key
        }
        JoinType::Inner | JoinType::Right if one_per(&left_key, &left.keys) && right_key.is_some() => {
            right_key.map(|key| shifted(&key))
        }
        _ => {
            let (mut key, right_key) = (left_key?, right_key?);
            key.extend(shifted(&right_key));
            Some(key)
        }
    }
}
