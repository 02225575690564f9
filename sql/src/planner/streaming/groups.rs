//! GROUP BY over a stream: which group columns are windows, which aggregates are ours, and what to say of the others.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::ScalarValue;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable};

use super::column_of;
use super::draft::Role;
use crate::catalog::SqlType;
use crate::error::{Result, SqlError};
use crate::logical::{
    AggregateFunctionKind, AggregatePlan, AggregateSpec, GroupColumn, PaneColumn, Step, WindowKind,
    WindowSpec,
};
use crate::planner::{PlaceFinder, plan_error};
use crate::suggest;

/// Plans one GROUP BY over a stream. `input_roles` tells the input's columns, `steps` what was computed before.
pub(super) fn plan(
    state: &SessionState,
    finder: &PlaceFinder<'_>,
    aggregate: &Aggregate,
    input_roles: &[Role],
    steps: &[Step],
) -> Result<AggregatePlan> {
    let input = aggregate.input.schema();
    let role = |expr: &Expr| {
        let column = column_of(expr, input);
        column.map_or(Role::Computed, |column| input_roles[column])
    };
    let group_roles: Vec<Role> = aggregate.group_expr.iter().map(role).collect();
    let window = steps.iter().find_map(|step| match step {
        Step::Windows { spec, .. } => Some(*spec),
        _ => None,
    });
    let output = aggregate.schema.as_arrow();
    let mut keys = Vec::new();
    let mut group_columns = Vec::new();
    for (index, (expr, role)) in aggregate.group_expr.iter().zip(&group_roles).enumerate() {
        if matches!(expr, Expr::GroupingSet(_)) {
            return Err(SqlError::unsupported(
                "GROUPING SETS, ROLLUP and CUBE are not supported in continuous queries",
            )
            .with_hint("make one view per grouping"));
        }
        match role {
            Role::WindowStart => group_columns.push(GroupColumn::WindowStart),
            Role::WindowEnd => group_columns.push(GroupColumn::WindowEnd),
            _ => {
                let physical = state
                    .create_physical_expr(expr.clone(), input)
                    .map_err(|e| plan_error(e, finder))?;
                let field = output.field(index);
                if !RowConverter::supports_fields(&[SortField::new(field.data_type().clone())]) {
                    return Err(SqlError::unsupported(format!(
                        "cannot group by \"{}\": its type is {}",
                        field.name(),
                        field.data_type()
                    )));
                }
                group_columns.push(GroupColumn::Key(keys.len()));
                keys.push((physical, field.name().clone(), field.data_type().clone()));
            }
        }
    }
    let window = window.and_then(|spec| pane_column(spec, &group_roles, input_roles));
    if window.is_some_and(|pane| pane.spec.kind == WindowKind::Growing) {
        // A pane is told by its start alone.
        return Err(SqlError::unsupported("CUMULATE windows have no panes"));
    }
    let offset = aggregate.group_expr.len();
    let aggregates = aggregate
        .aggr_expr
        .iter()
        .enumerate()
        .map(|(index, expr)| {
            spec(
                state,
                finder,
                expr,
                aggregate,
                output.field(offset + index).data_type().clone(),
            )
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(AggregatePlan {
        window,
        keys,
        group_columns,
        aggregates,
        schema: Arc::new(output.clone()),
    })
}

/// The pane, if the query groups by a window.
fn pane_column(spec: WindowSpec, group_roles: &[Role], input_roles: &[Role]) -> Option<PaneColumn> {
    if !group_roles
        .iter()
        .any(|role| matches!(role, Role::WindowStart | Role::WindowEnd))
    {
        return None;
    }
    let find = |wanted: Role| input_roles.iter().position(|role| *role == wanted);
    find(Role::WindowStart)
        .map(|index| PaneColumn {
            spec,
            index,
            is_end: false,
        })
        .or_else(|| {
            find(Role::WindowEnd).map(|index| PaneColumn {
                spec,
                index,
                is_end: true,
            })
        })
}

fn spec(
    state: &SessionState,
    finder: &PlaceFinder<'_>,
    expr: &Expr,
    aggregate: &Aggregate,
    output_type: DataType,
) -> Result<AggregateSpec> {
    let call = match expr {
        Expr::Alias(alias) => {
            return spec(state, finder, &alias.expr, aggregate, output_type);
        }
        Expr::AggregateFunction(call) => call,
        other => {
            return Err(SqlError::unsupported(format!(
                "`{other}` is not supported as an aggregate"
            )));
        }
    };
    let input = aggregate.input.schema();
    let function = known(call, finder)?;
    let argument = match call.params.args.as_slice() {
        // COUNT(*) arrives as COUNT(1).
        [Expr::Literal(value, _)] if function == AggregateFunctionKind::Count && !value.is_null() => None,
        [argument] => Some(argument),
        _ => {
            return Err(finder.at(
                SqlError::unsupported(format!("{function} takes one argument in continuous queries")),
                call.func.name(),
            ));
        }
    };
    let argument_type = match argument {
        Some(argument) => argument.get_type(input).map_err(|e| plan_error(e, finder))?,
        None => DataType::Int64,
    };
    check_type(function, &argument_type, argument).map_err(|e| finder.at(e, call.func.name()))?;
    let physical = |expr: &Expr| {
        state
            .create_physical_expr(expr.clone(), input)
            .map_err(|e| plan_error(e, finder))
    };
    Ok(AggregateSpec {
        function,
        argument: argument.map(physical).transpose()?,
        argument_type,
        filter: call.params.filter.as_deref().map(physical).transpose()?,
        output_type,
        text: expr.to_string(),
    })
}

fn known(call: &AggregateFunction, finder: &PlaceFinder<'_>) -> Result<AggregateFunctionKind> {
    let name = call.func.name();
    let Some(function) = AggregateFunctionKind::by_name(name) else {
        let error = SqlError::unsupported(format!("{name} is not supported in continuous queries yet"))
            .with_hint(suggest::hint(name, AggregateFunctionKind::NAMES, "aggregates"));
        return Err(finder.at(error, name));
    };
    if call.params.distinct && !matches!(function, AggregateFunctionKind::Min | AggregateFunctionKind::Max) {
        let error = SqlError::unsupported(format!(
            "{name}(DISTINCT …) is not supported in continuous queries yet"
        ))
        .with_hint("group by the column in the view, and count its rows in the query that reads it");
        return Err(finder.at(error, "DISTINCT"));
    }
    if !call.params.order_by.is_empty() || call.params.null_treatment.is_some() {
        return Err(finder.at(
            SqlError::unsupported(format!(
                "ORDER BY and IGNORE NULLS inside {name} are not supported"
            )),
            name,
        ));
    }
    Ok(function)
}

fn check_type(function: AggregateFunctionKind, kind: &DataType, argument: Option<&Expr>) -> Result<()> {
    let fits = match function {
        AggregateFunctionKind::Count => true,
        AggregateFunctionKind::Sum => matches!(kind, DataType::Int64 | DataType::Float64),
        AggregateFunctionKind::Avg => matches!(kind, DataType::Float64),
        AggregateFunctionKind::Min | AggregateFunctionKind::Max => matches!(
            kind,
            DataType::Boolean
                | DataType::Int8
                | DataType::Int16
                | DataType::Int32
                | DataType::Int64
                | DataType::UInt8
                | DataType::UInt16
                | DataType::UInt32
                | DataType::Float32
                | DataType::Float64
                | DataType::Utf8
                | DataType::Date32
                | DataType::Timestamp(..)
        ),
    };
    if fits {
        return Ok(());
    }
    let shown = argument.map_or_else(|| ScalarValue::Null.to_string(), ToString::to_string);
    Err(SqlError::unsupported(format!(
        "{function}({shown}) is not supported in continuous queries: the argument is {}",
        SqlType::display_arrow(kind)
    ))
    .with_hint(format!("cast it: {function}(CAST({shown} AS DOUBLE))")))
}
