//! `FROM TUMBLE(stream, column, INTERVAL size)`, `FROM HOP(stream, column, INTERVAL slide, INTERVAL size)` and
//! `FROM CUMULATE(stream, column, INTERVAL step, INTERVAL size)`.
//!
//! Also accepted: Flink's `DESCRIPTOR(column)`, and arguments by name (`DATA`, `TIMECOL`, `SLIDE`, `STEP`, `SIZE`, `GRACE`, with `=>`). Without
//! `TIMECOL` it is the column that the stream's watermark is on.

use std::sync::Arc;

use datafusion::common::{Column, DataFusionError, Result};
use datafusion::datasource::DefaultTableSource;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Extension, LogicalPlan};
use datafusion::sql::sqlparser::ast::{
    Expr as AstExpr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName, ObjectNamePart,
    TableFactor, TableFunctionArgs,
};

use super::CatalogTable;
use super::names::external;
use crate::error::SqlError;
use crate::logical::{WindowKind, WindowNode, WindowSpec};
use crate::parser::interval_micros;
use crate::suggest;

/// Makes window nodes of TUMBLE and HOP in FROM.
#[derive(Debug)]
pub(super) struct WindowRelations;

/// The argument that says how long after its end a window takes late rows; by name alone, for any of the functions.
const GRACE: &str = "grace";

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
            "cumulate" => &["data", "timecol", "step", "size"],
            "session" => {
                return Err(external(
                    SqlError::unsupported("session windows are not supported yet")
                        .with_hint("use TUMBLE, HOP or CUMULATE"),
                ));
            }
            _ => return Ok(RelationPlanning::Original(Box::new(relation))),
        };
        let mut given = arguments(&function, parameters, args)?;
        let grace = given.pop().flatten();
        let required = |index: usize| {
            given[index]
                .as_ref()
                .ok_or_else(|| wrong_count(&function, parameters.len(), args.args.len()))
        };
        let table = table_factor(&function, required(0)?)?;
        let lengths: Vec<i64> = (2..parameters.len())
            .map(|index| length(&function, parameters[index], required(index)?))
            .collect::<Result<_>>()?;
        let grace = match &grace {
            None => None,
            Some(grace) => Some(micros(&function, "grace", grace)?),
        };
        let input = context.plan(table)?;
        let time = match &given[1] {
            Some(time) => time_column(&function, time, &input, context)?,
            None => declared_time(&function, &input)?,
        };
        let kind = if function == "cumulate" {
            WindowKind::Growing
        } else {
            WindowKind::Sliding
        };
        let (slide_micros, size_micros) = match lengths[..] {
            [size] => (size, size),
            [slide, size] => (slide, size),
            _ => return datafusion::common::internal_err!("{function} has {} lengths", lengths.len()),
        };
        let spec = WindowSpec {
            size_micros,
            slide_micros,
            kind,
        };
        check(&function, spec)?;
        let node = WindowNode::try_new(input, time, spec, grace)?;
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
            .with_hint(usage(function)),
        ));
    }
    if spec.kind == WindowKind::Growing && spec.size_micros % spec.slide_micros != 0 {
        return Err(external(
            SqlError::invalid("cumulate: the size must be a multiple of the step").with_hint(usage(function)),
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
        "hop" => {
            "write HOP(stream, column, slide, size): HOP(stream, column, INTERVAL '5' MINUTE, INTERVAL '1' HOUR)"
        }
        "cumulate" => {
            "write CUMULATE(stream, column, INTERVAL '10' MINUTE, INTERVAL '1' HOUR): step, then size"
        }
        _ => "write TUMBLE(stream, column, INTERVAL '1' HOUR)",
    }
}

/// The arguments in the order of `parameters`, by position or by name; then the grace, by name alone.
fn arguments(function: &str, parameters: &[&str], args: &TableFunctionArgs) -> Result<Vec<Option<AstExpr>>> {
    let mut values: Vec<Option<AstExpr>> = vec![None; parameters.len() + 1];
    for (position, arg) in args.args.iter().enumerate() {
        let (index, value) = match arg {
            FunctionArg::Unnamed(value) => (Some(position).filter(|p| *p < parameters.len()), value),
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
    Ok(values)
}

fn wrong_count(function: &str, wanted: usize, given: usize) -> DataFusionError {
    external(
        SqlError::invalid(format!("{function} takes {wanted} arguments, {given} are given"))
            .with_hint(usage(function)),
    )
}

fn position_of(function: &str, parameters: &[&str], name: &str) -> Result<Option<usize>> {
    let lower = name.to_lowercase();
    if lower == GRACE {
        return Ok(Some(parameters.len()));
    }
    match parameters.iter().position(|p| *p == lower) {
        Some(position) => Ok(Some(position)),
        None => Err(external(
            SqlError::name(format!("{function} has no argument \"{name}\"")).with_hint(suggest::hint(
                name,
                parameters.iter().copied().chain([GRACE]),
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

/// The event-time column that the stream below declares.
fn declared_time(function: &str, input: &LogicalPlan) -> Result<Column> {
    let watermark = scanned(input).and_then(|table| table.topic.watermark.clone());
    let Some(watermark) = watermark else {
        return Err(external(
            SqlError::invalid(format!("{function}: the stream declares no event time"))
                .with_hint("add WATERMARK FOR column AS column - INTERVAL '1' MINUTE to its CREATE STREAM, or name the column here"),
        ));
    };
    let schema = input.schema();
    let (qualifier, field) = schema.qualified_field_with_unqualified_name(&watermark.column)?;
    Ok(Column::new(qualifier.cloned(), field.name()))
}

/// The table that a plan reads without anything between.
fn scanned(plan: &LogicalPlan) -> Option<&CatalogTable> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => scanned(&alias.input),
        LogicalPlan::TableScan(scan) => {
            let source = scan.source.as_ref().downcast_ref::<DefaultTableSource>()?;
            source.table_provider.as_ref().downcast_ref::<CatalogTable>()
        }
        _ => None,
    }
}

fn length(function: &str, parameter: &str, value: &AstExpr) -> Result<i64> {
    let micros = micros(function, parameter, value)?;
    if micros <= 0 {
        return Err(external(SqlError::invalid(format!(
            "{function}: the {parameter} must be longer than nothing"
        ))));
    }
    Ok(micros)
}

fn micros(function: &str, parameter: &str, value: &AstExpr) -> Result<i64> {
    interval_micros(value).map_err(|mut e| {
        e.message = format!("{function}: the {parameter} must be an interval: {}", e.message);
        external(e)
    })
}
