//! Projections, filters, unions: what is computed of each row alone.

use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, Projection, Union};
use datafusion::physical_expr::expressions::Column;

use super::draft::{Drafted, Role};
use super::{Builder, column_of, identity, unnamed};
use crate::error::Result;
use crate::logical::{Operator, ProjectedColumn, Step};

impl Builder<'_> {
    pub(super) fn projection(&mut self, projection: &Projection) -> Result<usize> {
        let input = match unnamed(&projection.input) {
            LogicalPlan::Filter(filter) => match self.top_n(filter, Some(&projection.expr))? {
                Some(node) => node,
                None => self.visit(&projection.input)?,
            },
            _ => self.visit(&projection.input)?,
        };
        self.project(input, projection)
    }

    pub(super) fn project(&mut self, input: usize, projection: &Projection) -> Result<usize> {
        let Some((step, words)) = self.projection_step(projection)? else {
            return Ok(input);
        };
        let below = projection.input.schema();
        let schema = Arc::new(projection.schema.as_arrow().clone());
        let columns: Vec<Option<usize>> = projection.expr.iter().map(|e| column_of(e, below)).collect();
        let node = self.draft.push_step(input, step, schema, &words);
        self.draft.node_mut(node).moved(&columns);
        Ok(node)
    }

    /// The step of a projection with its words; none if it changes nothing.
    pub(super) fn projection_step(&self, projection: &Projection) -> Result<Option<(Step, String)>> {
        let input = projection.input.schema();
        let mut columns = Vec::with_capacity(projection.expr.len());
        let mut unchanged = projection.expr.len() == input.fields().len();
        for (index, (expr, field)) in projection.expr.iter().zip(projection.schema.fields()).enumerate() {
            unchanged &= matches!(expr, Expr::Column(c) if input.index_of_column(c).ok() == Some(index))
                && input.field(index).name() == field.name();
            columns.push(ProjectedColumn {
                expr: self.physical(expr, input)?,
                name: field.name().clone(),
            });
        }
        if unchanged {
            return Ok(None);
        }
        let text = projection
            .expr
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        let words = format!("project {text}");
        let step = Step::Project {
            columns,
            schema: Arc::new(projection.schema.as_arrow().clone()),
            text,
        };
        Ok(Some((step, words)))
    }

    pub(super) fn filter(&mut self, filter: &Filter) -> Result<usize> {
        if let Some(node) = self.top_n(filter, None)? {
            return Ok(node);
        }
        let input = self.visit(&filter.input)?;
        self.keep(input, &filter.predicate, filter.input.schema())
    }

    pub(super) fn keep(&mut self, input: usize, predicate: &Expr, below: &DFSchema) -> Result<usize> {
        let step = self.filter_step(predicate, below)?;
        let schema = Arc::clone(&self.draft.node(input).schema);
        let words = format!("filter {predicate}");
        Ok(self.draft.push_step(input, step, schema, &words))
    }

    pub(super) fn filter_step(&self, predicate: &Expr, below: &DFSchema) -> Result<Step> {
        Ok(Step::Filter {
            predicate: self.physical(predicate, below)?,
            text: predicate.to_string(),
        })
    }

    pub(super) fn union(&mut self, union: &Union) -> Result<usize> {
        let schema = Arc::new(union.schema.as_arrow().clone());
        let mut inputs = Vec::with_capacity(union.inputs.len());
        for input in &union.inputs {
            let node = self.visit(input)?;
            // The branches name their columns as they like; behind the union they have the first one's names.
            let columns = schema
                .fields()
                .iter()
                .enumerate()
                .map(|(index, field)| ProjectedColumn {
                    expr: Arc::new(Column::new(
                        self.draft.node(node).schema.field(index).name(),
                        index,
                    )),
                    name: field.name().clone(),
                });
            let step = Step::Project {
                columns: columns.collect(),
                schema: Arc::clone(&schema),
                text: names(&schema),
            };
            let words = format!("named {}", names(&schema));
            inputs.push(self.draft.push_step(node, step, Arc::clone(&schema), &words));
        }
        let nodes: Vec<&Drafted> = inputs.iter().map(|input| self.draft.node(*input)).collect();
        let identities: Vec<&str> = nodes.iter().map(|node| node.identity.as_str()).collect();
        let node = Drafted {
            operator: Operator::Union,
            schema: Arc::clone(&schema),
            append_only: nodes.iter().all(|node| node.append_only),
            roles: vec![Role::Computed; schema.fields().len()],
            key: None,
            placed_by: None,
            identity: identity::over("union", &identities),
            inputs,
        };
        Ok(self.draft.add(node))
    }
}

fn names(schema: &datafusion::arrow::datatypes::Schema) -> String {
    let names: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    names.join(", ")
}
