//! GROUP BY over any rows: a projection computes what it needs, its rows go to the task of their group, an operator keeps the groups.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::common::DFSchema;
use datafusion::logical_expr::expr::{AggregateFunction, NullTreatment};
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable};

use super::draft::{Drafted, Role};
use super::{Builder, identity, unaliased};
use crate::error::{Result, SqlError};
use crate::logical::{AggregateCall, GroupChangesPlan, Operator, ProjectedColumn, Step};
use crate::planner::plan_error;

impl Builder<'_> {
    pub(super) fn group_changes(&mut self, aggregate: &Aggregate) -> Result<usize> {
        let mark = self.draft.mark();
        let input = self.visit(&aggregate.input)?;
        let below = Arc::clone(aggregate.input.schema());
        let mut columns = Columns::default();
        for expr in &aggregate.group_expr {
            if matches!(expr, Expr::GroupingSet(_)) {
                return Err(SqlError::unsupported(
                    "GROUPING SETS, ROLLUP and CUBE are not supported in continuous queries",
                )
                .with_hint("make one view per grouping"));
            }
            // Not `column`: two equal group expressions are two columns of the output.
            columns.0.push(unaliased(expr).clone());
        }
        let keys: Vec<usize> = (0..columns.0.len()).collect();
        let output = Arc::new(aggregate.schema.as_arrow().clone());
        let mut calls = Vec::with_capacity(aggregate.aggr_expr.len());
        for (index, expr) in aggregate.aggr_expr.iter().enumerate() {
            let Expr::AggregateFunction(call) = unaliased(expr) else {
                return Err(SqlError::unsupported(format!(
                    "`{expr}` is not supported as an aggregate"
                )));
            };
            let output_type = output.field(keys.len() + index).data_type().clone();
            calls.push(call_of(call, output_type, expr.to_string(), &mut columns));
        }
        let node = self.compute(input, &columns.0, &below)?;
        let node = if self.draft.is_placed_by(node, &keys) {
            node
        } else {
            self.shuffle(node, keys.clone(), 0)
        };
        let drafted = self.draft.node(node);
        let texts: Vec<&str> = calls.iter().map(|call| call.text.as_str()).collect();
        let words = format!("group {} keys, {}", keys.len(), texts.join(", "));
        let identity = identity::over(&words, &[&drafted.identity]);
        let (input_schema, append_only) = (Arc::clone(&drafted.schema), drafted.append_only);
        let plan = GroupChangesPlan {
            keys: keys.clone(),
            calls,
            append_only,
            input: input_schema,
            schema: Arc::clone(&output),
            store: self.draft.name("groups", &identity),
            values_store: self.draft.name("values", &identity),
        };
        let node = self.draft.add(Drafted {
            operator: Operator::Groups(plan),
            inputs: vec![node],
            roles: vec![Role::Computed; output.fields().len()],
            schema: output,
            append_only: false,
            key: Some(keys.clone()),
            placed_by: Some(keys),
            identity,
        });
        Ok(self.draft.shared(node, mark))
    }

    /// Adds a projection to these expressions, unless they are the columns there are.
    fn compute(&mut self, input: usize, exprs: &[Expr], below: &DFSchema) -> Result<usize> {
        let mut columns = Vec::with_capacity(exprs.len());
        let mut fields = Vec::with_capacity(exprs.len());
        for (index, expr) in exprs.iter().enumerate() {
            let name = format!("c{index}");
            let data_type = expr.get_type(below).map_err(|e| plan_error(e, self.finder))?;
            fields.push(Field::new(&name, data_type, true));
            columns.push(ProjectedColumn {
                expr: self.physical(expr, below)?,
                name,
            });
        }
        let texts: Vec<String> = exprs.iter().map(ToString::to_string).collect();
        let text = texts.join(", ");
        let schema = Arc::new(Schema::new(fields));
        let old: Vec<Option<usize>> = exprs.iter().map(|expr| super::column_of(expr, below)).collect();
        let words = format!("compute {text}");
        let step = Step::Project {
            columns,
            schema: Arc::clone(&schema),
            text,
        };
        let node = self.draft.push_step(input, step, schema, &words);
        self.draft.node_mut(node).moved(&old);
        Ok(node)
    }
}

/// Expressions, each once.
#[derive(Default)]
struct Columns(Vec<Expr>);

impl Columns {
    fn column(&mut self, expr: &Expr) -> usize {
        match self.0.iter().position(|known| known == expr) {
            Some(index) => index,
            None => {
                self.0.push(expr.clone());
                self.0.len() - 1
            }
        }
    }
}

fn call_of(
    call: &AggregateFunction,
    output_type: datafusion::arrow::datatypes::DataType,
    text: String,
    columns: &mut Columns,
) -> AggregateCall {
    let params = &call.params;
    let arguments = match params.args.as_slice() {
        // COUNT(*) arrives as COUNT(1).
        [Expr::Literal(value, _)] if call.func.name() == "count" && !value.is_null() && !params.distinct => {
            Vec::new()
        }
        args => args.iter().map(|arg| columns.column(arg)).collect(),
    };
    let constants = params.args.iter().take(arguments.len()).map(|arg| match arg {
        Expr::Literal(value, _) => Some(value.clone()),
        _ => None,
    });
    AggregateCall {
        function: Arc::clone(&call.func),
        constants: constants.collect(),
        arguments,
        distinct: params.distinct,
        filter: params.filter.as_ref().map(|filter| columns.column(filter)),
        order: params
            .order_by
            .iter()
            .map(|sort| (columns.column(&sort.expr), super::over::sort_options(sort)))
            .collect(),
        ignore_nulls: params.null_treatment == Some(NullTreatment::IgnoreNulls),
        output_type,
        text,
    }
}
