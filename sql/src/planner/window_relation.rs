//! `FROM TUMBLE(stream, column, INTERVAL size)` and `FROM HOP(stream, column, INTERVAL slide, INTERVAL size)`.
//!
//! Also accepted: Flink's `DESCRIPTOR(column)`, and arguments by name (`DATA`, `TIMECOL`, `SLIDE`, `SIZE`, with `=>`).

use std::sync::Arc;

use datafusion::common::{Column, DataFusionError, Result};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Extension, LogicalPlan};
use datafusion::sql::sqlparser::ast::{
    Expr as AstExpr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName, ObjectNamePart,
    TableFactor, TableFunctionArgs,
};

use super::names::external;
use crate::error::SqlError;
use crate::logical::{WindowNode, WindowSpec};
use crate::parser::interval_micros;
use crate::suggest;

/// Makes window nodes of TUMBLE and HOP in FROM.
#[derive(Debug)]
pub(super) struct WindowRelations;

/// The most windows one row may fall into: each is a copy of the row.
const WINDOWS_PER_ROW_MAX: i64 = 1024;

impl RelationPlanner for WindowRelations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::Table {
            name,
            alias,
            args: Some(args),
            ..
        } = &relation
        else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let function = name.to_string().to_lowercase();
        let parameters: &[&str] = match function.as_str() {
            "tumble" => &["data", "timecol", "size"],
            "hop" => &["data", "timecol", "slide", "size"],
            "session" | "cumulate" => {
                return Err(external(
                    SqlError::unsupported(format!("{function} windows are not supported yet"))
                        .with_hint("use TUMBLE or HOP"),
                ));
            }
            _ => return Ok(RelationPlanning::Original(Box::new(relation))),
        };
        let values = arguments(&function, parameters, args)?;
        let table = table_factor(&function, &values[0])?;
        let input = context.plan(table)?;
        let time = time_column(&function, &values[1], &input, context)?;
        let lengths: Vec<i64> = values[2..]
            .iter()
            .zip(&parameters[2..])
            .map(|(value, parameter)| length(&function, parameter, value))
            .collect::<Result<_>>()?;
        let spec = match lengths[..] {
            [size] => WindowSpec {
                size_micros: size,
                slide_micros: size,
            },
            [slide, size] => WindowSpec {
                size_micros: size,
                slide_micros: slide,
            },
            _ => return datafusion::common::internal_err!("{function} has {} lengths", lengths.len()),
        };
        check(&function, spec)?;
        let node = WindowNode::try_new(input, time, spec)?;
        let plan = LogicalPlan::Extension(Extension { node: Arc::new(node) });
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(
            plan,
            alias.clone(),
        ))))
    }
}

fn check(function: &str, spec: WindowSpec) -> Result<()> {
    if spec.slide_micros > spec.size_micros {
        return Err(external(
            SqlError::invalid(format!(
                "{function}: the slide is longer than the size, so rows would fall between windows"
            ))
            .with_hint("the order is HOP(stream, column, slide, size)"),
        ));
    }
    if spec.windows_per_row() > WINDOWS_PER_ROW_MAX {
        return Err(external(
            SqlError::invalid(format!(
                "{function}: each row would fall into {} windows, at most {WINDOWS_PER_ROW_MAX} are allowed",
                spec.windows_per_row()
            ))
            .with_hint("use a longer slide or a shorter size"),
        ));
    }
    Ok(())
}

fn usage(function: &str) -> &'static str {
    match function {
        "hop" => "write HOP(stream, column, INTERVAL '5' MINUTE, INTERVAL '1' HOUR): slide, then size",
        _ => "write TUMBLE(stream, column, INTERVAL '1' HOUR)",
    }
}

/// The arguments in the order of `parameters`, by position or by name.
fn arguments(function: &str, parameters: &[&str], args: &TableFunctionArgs) -> Result<Vec<AstExpr>> {
    let mut values: Vec<Option<AstExpr>> = vec![None; parameters.len()];
    for (position, arg) in args.args.iter().enumerate() {
        let (index, value) = match arg {
            FunctionArg::Unnamed(value) => (Some(position), value),
            FunctionArg::Named { name, arg, .. } => (position_of(function, parameters, &name.value)?, arg),
            FunctionArg::ExprNamed { name, arg, .. } => {
                (position_of(function, parameters, &name.to_string())?, arg)
            }
        };
        let FunctionArgExpr::Expr(value) = value else {
            return Err(external(
                SqlError::invalid(format!("{function} does not take `*`")).with_hint(usage(function)),
            ));
        };
        match index.and_then(|i| values.get_mut(i)) {
            Some(slot @ None) => *slot = Some(value.clone()),
            Some(Some(_)) => {
                return Err(external(
                    SqlError::invalid(format!("{function}: an argument is given twice"))
                        .with_hint(usage(function)),
                ));
            }
            None => return Err(wrong_count(function, parameters.len(), args.args.len())),
        }
    }
    values
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| wrong_count(function, parameters.len(), args.args.len()))
}

fn wrong_count(function: &str, wanted: usize, given: usize) -> DataFusionError {
    external(
        SqlError::invalid(format!("{function} takes {wanted} arguments, {given} are given"))
            .with_hint(usage(function)),
    )
}

fn position_of(function: &str, parameters: &[&str], name: &str) -> Result<Option<usize>> {
    let lower = name.to_lowercase();
    match parameters.iter().position(|p| *p == lower) {
        Some(position) => Ok(Some(position)),
        None => Err(external(
            SqlError::name(format!("{function} has no argument \"{name}\"")).with_hint(suggest::hint(
                name,
                parameters.iter().copied(),
                "arguments",
            )),
        )),
    }
}

fn table_factor(function: &str, value: &AstExpr) -> Result<TableFactor> {
    let name = match value {
        AstExpr::Identifier(ident) => ObjectName(vec![ObjectNamePart::Identifier(ident.clone())]),
        AstExpr::CompoundIdentifier(idents) => {
            ObjectName(idents.iter().cloned().map(ObjectNamePart::Identifier).collect())
        }
        AstExpr::Subquery(query) => {
            return Ok(TableFactor::Derived {
                lateral: false,
                subquery: query.clone(),
                alias: None,
                sample: None,
            });
        }
        other => {
            return Err(external(
                SqlError::invalid(format!(
                    "{function}: the first argument is a stream, not `{other}`"
                ))
                .with_hint(usage(function)),
            ));
        }
    };
    Ok(TableFactor::Table {
        name,
        alias: None,
        args: None,
        with_hints: vec![],
        version: None,
        with_ordinality: false,
        partitions: vec![],
        json_path: None,
        sample: None,
        index_hints: vec![],
    })
}

fn time_column(
    function: &str,
    value: &AstExpr,
    input: &LogicalPlan,
    context: &mut dyn RelationPlannerContext,
) -> Result<Column> {
    let column = match value {
        AstExpr::Function(call) if call.name.to_string().eq_ignore_ascii_case("descriptor") => {
            descriptor(function, call)?
        }
        other => other.clone(),
    };
    match context.sql_to_expr(column.clone(), input.schema())? {
        datafusion::logical_expr::Expr::Column(column) => Ok(column),
        _ => Err(external(
            SqlError::invalid(format!(
                "{function}: the second argument is a TIMESTAMP column, not `{column}`"
            ))
            .with_hint(usage(function)),
        )),
    }
}

fn descriptor(function: &str, call: &Function) -> Result<AstExpr> {
    if let FunctionArguments::List(list) = &call.args
        && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(column))] = list.args.as_slice()
    {
        return Ok(column.clone());
    }
    Err(external(
        SqlError::invalid(format!("{function}: DESCRIPTOR takes one column")).with_hint(usage(function)),
    ))
}

fn length(function: &str, parameter: &str, value: &AstExpr) -> Result<i64> {
    let micros = interval_micros(value).map_err(|mut e| {
        e.message = format!("{function}: the {parameter} must be an interval: {}", e.message);
        external(e)
    })?;
    if micros <= 0 {
        return Err(external(SqlError::invalid(format!(
            "{function}: the {parameter} must be longer than nothing"
        ))));
    }
    Ok(micros)
}
