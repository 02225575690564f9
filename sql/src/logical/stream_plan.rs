//! The plan of a job: a graph of operators from topics to a result.
//!
//! Always true: physical expressions refer to columns by position in the batch that reaches their step; a node stands behind its inputs. How the rows of the root are kept and written is the [`ResultPlan`].

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::physical_expr::PhysicalExpr;

use super::{AggregatePlan, GroupChangesPlan, JoinPlan, OverPlan, WindowSpec};
use crate::catalog::{TopicTable, WatermarkDefinition};

/// The event-time column of the decoded rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTime {
    /// Its position in the decoded rows.
    pub index: usize,
    /// Its name.
    pub column: String,
    /// How far rows may run behind, in microseconds; none if the stream declares no watermark: then no row is late.
    pub delay_micros: Option<i64>,
}

/// One column of a projection.
#[derive(Debug, Clone)]
pub struct ProjectedColumn {
    /// The expression.
    pub expr: Arc<dyn PhysicalExpr>,
    /// Its name in the output.
    pub name: String,
}

/// What happens to a batch between the operators that keep state.
#[derive(Debug, Clone)]
pub enum Step {
    /// Keep rows where the predicate is true.
    Filter {
        /// The predicate.
        predicate: Arc<dyn PhysicalExpr>,
        /// As written, for EXPLAIN.
        text: String,
    },
    /// Compute columns.
    Project {
        /// The columns.
        columns: Vec<ProjectedColumn>,
        /// Their schema.
        schema: SchemaRef,
        /// As written, for EXPLAIN.
        text: String,
    },
    /// Repeat each row for each of its windows.
    Windows {
        /// Which windows.
        spec: WindowSpec,
        /// Position of the time column.
        time_index: usize,
        /// With the two window columns at the end.
        schema: SchemaRef,
    },
}

/// A topic that is decoded, and what happens to its rows before anything is kept.
#[derive(Debug, Clone)]
pub struct SourcePlan {
    /// The topic read.
    pub table: TopicTable,
    /// The columns decoded, as positions in the topic's schema.
    pub projection: Vec<usize>,
    /// Event time, if windows are used.
    pub event_time: Option<EventTime>,
    /// What happens to each row.
    pub steps: Vec<Step>,
}

impl SourcePlan {
    /// The names of the columns decoded.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let fields = self.table.schema.fields();
        self.projection
            .iter()
            .map(|column| fields[*column].name().as_str())
    }
}

/// A topic whose records replace each other by key, and the store that remembers what was replaced.
#[derive(Debug, Clone)]
pub struct UpsertsPlan {
    /// The topic; without steps and event time.
    pub source: SourcePlan,
    /// Name of the store.
    pub store: String,
}

/// What a node does.
#[derive(Debug, Clone)]
pub enum Operator {
    /// Decodes a topic.
    Source(SourcePlan),
    /// Decodes a topic whose records replace each other.
    Upserts(UpsertsPlan),
    /// Computes row by row.
    Steps(Vec<Step>),
    /// Sends rows to the task that has the key in these columns. Without columns all rows go to one task.
    Shuffle {
        /// Name of the repartition.
        name: String,
        /// The columns of the key.
        keys: Vec<usize>,
        /// The input of the reader that the rows are for.
        port: usize,
    },
    /// All rows of all inputs.
    Union,
    /// Joins its two inputs.
    Join(JoinPlan),
    /// OVER windows and Top-N.
    Over(OverPlan),
    /// GROUP BY over rows that change.
    Groups(GroupChangesPlan),
}

/// One operator of a job with its place in the graph.
#[derive(Debug, Clone)]
pub struct PlanNode {
    /// What it does.
    pub operator: Operator,
    /// The nodes it reads, in the order of its ports.
    pub inputs: Vec<usize>,
    /// The columns of its rows.
    pub schema: SchemaRef,
    /// Whether it only ever adds rows.
    pub append_only: bool,
}

/// How the result is kept and written.
#[derive(Debug, Clone)]
pub enum ResultPlan {
    /// Rows are only added: each becomes a record of the topic, which is all that keeps them.
    Appends {
        /// Event time of the result, when the stream's event-time column passes through unchanged.
        watermark: Option<WatermarkDefinition>,
    },
    /// The rows are groups over a stream: the store of the groups is the table, each changed group an upsert.
    Groups(GroupsResult),
    /// Any other rows that change: a store of rows is the table.
    Rows(RowsResult),
}

/// A GROUP BY over rows that are only added, at the root of a plan.
#[derive(Debug, Clone)]
pub struct GroupsResult {
    /// The GROUP BY over the rows of the root.
    pub aggregate: AggregatePlan,
    /// From groups to results: HAVING and expressions over aggregates.
    pub steps: Vec<Step>,
    /// How far the watermark of the stream runs behind, if it has one.
    pub delay_micros: Option<i64>,
}

/// Rows that change, at the root of a plan.
#[derive(Debug, Clone)]
pub struct RowsResult {
    /// The columns that tell rows apart; none if equal rows may stand in the result several times.
    pub key: Option<Vec<usize>>,
    /// Name of the store.
    pub store: String,
    /// The columns.
    pub schema: SchemaRef,
}

/// A whole job.
#[derive(Debug, Clone)]
pub struct StreamPlan {
    /// The operators, inputs first.
    pub nodes: Vec<PlanNode>,
    /// The one whose rows are the result, before [`StreamPlan::result`].
    pub root: usize,
    /// How the rows of the root are kept.
    pub result: ResultPlan,
    /// The columns of the result.
    pub schema: SchemaRef,
}

impl StreamPlan {
    /// Whether rows are only ever added to the result.
    pub fn is_append_only(&self) -> bool {
        matches!(self.result, ResultPlan::Appends { .. })
    }

    /// Whether every row is computed alone, from the topic to the result.
    pub fn keeps_nothing(&self) -> bool {
        let row_by_row = |node: &PlanNode| {
            matches!(
                node.operator,
                Operator::Source(_) | Operator::Steps(_) | Operator::Union
            )
        };
        self.is_append_only() && self.nodes.iter().all(row_by_row)
    }

    /// The topics read, in the order of the plan; one that is read twice stands there twice.
    pub fn sources(&self) -> impl Iterator<Item = &SourcePlan> {
        self.nodes.iter().filter_map(|node| match &node.operator {
            Operator::Source(source) => Some(source),
            Operator::Upserts(upserts) => Some(&upserts.source),
            _ => None,
        })
    }

    /// The one source of a plan that has no other node.
    pub fn single_source(&self) -> Option<&SourcePlan> {
        match self.nodes.as_slice() {
            [
                PlanNode {
                    operator: Operator::Source(source),
                    ..
                },
            ] => Some(source),
            _ => None,
        }
    }

    /// The most partitions a topic read has.
    pub fn source_partitions(&self) -> i32 {
        self.sources()
            .map(|source| source.table.partitions)
            .max()
            .unwrap_or(1)
    }

    /// The columns that tell the rows of the result apart, by name, if there are such.
    pub fn key_columns(&self) -> Vec<&str> {
        match &self.result {
            ResultPlan::Appends { .. } => Vec::new(),
            ResultPlan::Groups(groups) => {
                let fields = &groups.aggregate.schema.fields()[..groups.aggregate.group_columns.len()];
                fields.iter().map(|field| field.name().as_str()).collect()
            }
            ResultPlan::Rows(rows) => {
                let key = rows.key.as_deref().unwrap_or_default();
                key.iter()
                    .map(|column| rows.schema.field(*column).name().as_str())
                    .collect()
            }
        }
    }

    /// The names of the stores of its nodes and of its rows, in the order of the plan.
    pub fn store_names_mut(&mut self) -> Vec<&mut String> {
        let mut names: Vec<&mut String> = Vec::new();
        for node in &mut self.nodes {
            match &mut node.operator {
                Operator::Upserts(upserts) => names.push(&mut upserts.store),
                Operator::Join(join) => names.extend(&mut join.stores),
                Operator::Over(over) => names.push(&mut over.store),
                Operator::Groups(groups) => names.extend([&mut groups.store, &mut groups.values_store]),
                _ => {}
            }
        }
        if let ResultPlan::Rows(rows) = &mut self.result {
            names.push(&mut rows.store);
        }
        names
    }

    /// The names of its repartitions, in the order of the plan.
    pub fn shuffle_names_mut(&mut self) -> Vec<&mut String> {
        let names = self.nodes.iter_mut().filter_map(|node| match &mut node.operator {
            Operator::Shuffle { name, .. } => Some(name),
            _ => None,
        });
        names.collect()
    }

    /// Names of the repartitions between its operators; that of [`ResultPlan::Groups`] is not among them.
    pub fn shuffles(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter_map(|node| match &node.operator {
            Operator::Shuffle { name, .. } => Some(name.as_str()),
            _ => None,
        })
    }
}
