//! The graph while it grows: each node with what is known of its rows.

use datafusion::arrow::datatypes::SchemaRef;

use super::identity;
use crate::logical::{Operator, PlanNode, Step};

/// What a column of a node is, followed from the topic upwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The decoded column at this position of the topic below, unchanged.
    Source(usize),
    /// Starts of windows.
    WindowStart,
    /// Ends of windows.
    WindowEnd,
    /// Computed, or of an operator that keeps state.
    Computed,
}

/// A node and what is known of its rows.
#[derive(Debug, Clone)]
pub(super) struct Drafted {
    pub(super) operator: Operator,
    pub(super) inputs: Vec<usize>,
    pub(super) schema: SchemaRef,
    pub(super) append_only: bool,
    /// Of each column.
    pub(super) roles: Vec<Role>,
    /// Columns no two rows have alike, if there are such.
    pub(super) key: Option<Vec<usize>>,
    /// The columns that decide in which task a row is; none if something else does.
    pub(super) placed_by: Option<Vec<usize>>,
    /// What its rows are, in words that do not tell where in a query it stands.
    pub(super) identity: String,
}

impl Drafted {
    /// Follows what is known through a projection: `old` holds for each column of the output which one of the input it is, unchanged.
    pub(super) fn moved(&mut self, old: &[Option<usize>]) {
        let columns = |known: &Option<Vec<usize>>| -> Option<Vec<usize>> {
            let new = known
                .as_ref()?
                .iter()
                .map(|column| old.iter().position(|o| *o == Some(*column)));
            new.collect()
        };
        self.key = columns(&self.key);
        self.placed_by = columns(&self.placed_by);
        let role = |column: &Option<usize>| column.and_then(|c| self.roles.get(c).copied());
        self.roles = old
            .iter()
            .map(|column| role(column).unwrap_or(Role::Computed))
            .collect();
    }
}

/// A state of the graph to go back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    nodes: usize,
    names: usize,
}

/// The nodes so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
    nodes: Vec<Drafted>,
    names: Vec<String>,
}

impl Draft {
    pub(super) fn add(&mut self, node: Drafted) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    pub(super) fn node(&self, index: usize) -> &Drafted {
        &self.nodes[index]
    }

    pub(super) fn node_mut(&mut self, index: usize) -> &mut Drafted {
        &mut self.nodes[index]
    }

    /// Where the graph is now.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            nodes: self.nodes.len(),
            names: self.names.len(),
        }
    }

    /// Forgets what was added since the mark.
    pub(super) fn back_to(&mut self, mark: Mark) {
        self.nodes.truncate(mark.nodes);
        self.names.truncate(mark.names);
    }

    /// The node that does the same as `node`, if one did before the mark: then what leads to `node`, all added since the mark, is forgotten. Only for
    /// operators that are not changed any more once they are added.
    pub(super) fn shared(&mut self, node: usize, mark: Mark) -> usize {
        let identity = &self.nodes[node].identity;
        let same = self.nodes[..mark.nodes].iter().position(|other| {
            other.identity == *identity && !matches!(other.operator, Operator::Source(_) | Operator::Steps(_))
        });
        match same {
            Some(same) => {
                self.back_to(mark);
                same
            }
            None => node,
        }
    }

    /// A name for a store or a repartition: the same for the same contents, another for each that has the same contents.
    pub(super) fn name(&mut self, kind: &str, identity: &str) -> String {
        let base = identity::name(kind, identity);
        let mut name = base.clone();
        let mut number = 2;
        while self.names.contains(&name) {
            name = format!("{base}-{number}");
            number += 1;
        }
        self.names.push(name.clone());
        name
    }

    /// Appends a step to what a node computes row by row, or adds a node that does.
    pub(super) fn push_step(&mut self, index: usize, step: Step, schema: SchemaRef, words: &str) -> usize {
        let node = &mut self.nodes[index];
        let identity = identity::over(words, &[&node.identity]);
        let steps = match &mut node.operator {
            Operator::Source(source) => Some(&mut source.steps),
            Operator::Steps(steps) => Some(steps),
            _ => None,
        };
        if let Some(steps) = steps {
            steps.push(step);
            node.schema = schema;
            node.identity = identity;
            return index;
        }
        let below = node.clone();
        self.add(Drafted {
            operator: Operator::Steps(vec![step]),
            inputs: vec![index],
            schema,
            identity,
            ..below
        })
    }

    pub(super) fn finish(self) -> Vec<PlanNode> {
        let nodes = self.nodes.into_iter().map(|node| PlanNode {
            operator: node.operator,
            inputs: node.inputs,
            schema: node.schema,
            append_only: node.append_only,
        });
        nodes.collect()
    }
}
