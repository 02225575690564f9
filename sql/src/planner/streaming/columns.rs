//! Columns an operator needs beside those of its input, and their removal behind it.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::physical_expr::expressions::Column;

use super::Builder;
use super::draft::Role;
use crate::error::Result;
use crate::logical::{ProjectedColumn, Step};
use crate::planner::plan_error;

impl Builder<'_> {
    /// Adds the values of `computed` as columns behind those of `below`, which are the columns of `node`. Gives the node and its columns.
    pub(super) fn with_computed(
        &mut self,
        node: usize,
        below: &DFSchema,
        computed: &[&Expr],
        prefix: &str,
    ) -> Result<(usize, DFSchema)> {
        if computed.is_empty() {
            return Ok((node, below.clone()));
        }
        let mut columns: Vec<ProjectedColumn> = (0..below.fields().len())
            .map(|index| as_it_is(below.as_arrow(), index, below.field(index).name()))
            .collect();
        let mut fields = Vec::with_capacity(computed.len());
        for (index, expr) in computed.iter().enumerate() {
            // A dot cannot be in the name of a user's column by chance.
            let name = format!("{prefix}.{index}");
            let data_type = expr.get_type(below).map_err(|e| plan_error(e, self.finder))?;
            columns.push(ProjectedColumn {
                expr: self.physical(expr, below)?,
                name: name.clone(),
            });
            fields.push((None, Arc::new(Field::new(name, data_type, true))));
        }
        let more = DFSchema::new_with_metadata(fields, Default::default());
        let schema = more
            .and_then(|more| below.join(&more))
            .map_err(|e| plan_error(e, self.finder))?;
        let arrow: SchemaRef = Arc::new(schema.as_arrow().clone());
        let texts: Vec<String> = computed.iter().map(ToString::to_string).collect();
        let text = format!("*, {}", texts.join(", "));
        let words = format!("with {text}");
        let step = Step::Project {
            columns,
            schema: Arc::clone(&arrow),
            text,
        };
        let node = self.draft.push_step(node, step, arrow, &words);
        let width = schema.fields().len();
        self.draft.node_mut(node).roles.resize(width, Role::Computed);
        Ok((node, schema))
    }

    /// Keeps the columns at `wanted`, with the names and types of `schema`.
    pub(super) fn select(&mut self, node: usize, wanted: &[usize], schema: SchemaRef) -> usize {
        let drafted = self.draft.node(node);
        let names: Vec<&str> = schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        let columns = wanted.iter().zip(&names);
        let columns = columns.map(|(column, name)| as_it_is(&drafted.schema, *column, name));
        let step = Step::Project {
            columns: columns.collect(),
            schema: Arc::clone(&schema),
            text: names.join(", "),
        };
        let words = format!("columns {wanted:?}");
        let node = self.draft.push_step(node, step, schema, &words);
        let old: Vec<Option<usize>> = wanted.iter().copied().map(Some).collect();
        self.draft.node_mut(node).moved(&old);
        node
    }
}

fn as_it_is(schema: &Schema, index: usize, name: &str) -> ProjectedColumn {
    ProjectedColumn {
        expr: Arc::new(Column::new(schema.field(index).name(), index)),
        name: name.to_owned(),
    }
}
