//! OVER windows, `ROW_NUMBER() … <= n`, `ORDER BY … LIMIT n`.

use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::common::{DFSchema, DFSchemaRef, ScalarValue};
use datafusion::logical_expr::expr::{Sort as SortExpr, WindowFunction};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Filter, Limit, LogicalPlan, Operator as Op, Window};
use datafusion::physical_planner::create_window_expr;

use super::draft::{Drafted, Role};
use super::{Builder, column_of, identity, unaliased, unnamed};
use crate::error::{Result, SqlError};
use crate::logical::{Operator, OverOutput, OverPlan};
use crate::planner::{plan_error, refuse};

/// The partition and the order of a window, as columns of a node.
struct Order {
    node: usize,
    /// The columns of the logical input, then those computed for the partition and the order.
    schema: DFSchema,
    /// How many columns the logical input has.
    columns: usize,
    partition: Vec<usize>,
    order: Vec<(usize, SortOptions)>,
}

impl Builder<'_> {
    pub(super) fn over(&mut self, window: &Window) -> Result<usize> {
        let first = function(window, 0)?.clone();
        for index in 1..window.window_expr.len() {
            let other = function(window, index)?;
            if other.params.partition_by != first.params.partition_by
                || other.params.order_by != first.params.order_by
            {
                return Err(
                    SqlError::unsupported("these OVER clauses cannot be computed together")
                        .with_hint("compute them in two queries, one over the other"),
                );
            }
        }
        let mark = self.draft.mark();
        let at = self.ordered(&window.input, &first.params.partition_by, &first.params.order_by)?;
        let context = PhysicalPlanningContext::default();
        let mut exprs = Vec::with_capacity(window.window_expr.len());
        for expr in &window.window_expr {
            let expr = create_window_expr(expr, &at.schema, self.state.execution_props(), &context)
                .map_err(|e| plan_error(e, self.finder))?;
            exprs.push(expr);
        }
        let results = window.schema.as_arrow().fields()[at.columns..].iter().cloned();
        let texts: Vec<String> = window.window_expr.iter().map(ToString::to_string).collect();
        let key = self.draft.node(at.node).key.clone();
        let node = self.over_node(
            &at,
            OverOutput::Windows(exprs),
            results.collect(),
            &texts.join(", "),
            key,
        );
        let node = self.draft.shared(node, mark);
        self.without_order_columns(node, &at, &window.schema)
    }

    /// A filter on the number of a row in its partition; none if this is not one.
    pub(super) fn top_n(&mut self, filter: &Filter, above: Option<&[Expr]>) -> Result<Option<usize>> {
        let (window, through) = match unnamed(&filter.input) {
            LogicalPlan::Window(window) => (window, None),
            // Which takes some of the columns.
            LogicalPlan::Projection(projection) => match unnamed(&projection.input) {
                LogicalPlan::Window(window) => (window, Some(projection)),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        let taken: Option<Vec<usize>> = through
            .map(|p| {
                p.expr
                    .iter()
                    .map(|expr| column_of(expr, &window.schema))
                    .collect::<Option<_>>()
            })
            .unwrap_or_else(|| Some((0..window.schema.fields().len()).collect()));
        let Some(taken) = taken else { return Ok(None) };
        let Ok(call) = function(window, 0) else {
            return Ok(None);
        };
        if window.window_expr.len() != 1 || call.fun.name() != "row_number" {
            return Ok(None);
        }
        let last_column = window.schema.fields().len() - 1;
        let Some(number) = taken.iter().position(|column| *column == last_column) else {
            return Ok(None);
        };
        let below = filter.input.schema();
        let (mut first, mut last) = (1_u64, u64::MAX);
        let mut others = Vec::new();
        for condition in split_conjunction(&filter.predicate) {
            match bounds(condition, number, below) {
                Some((low, high)) => (first, last) = (first.max(low), last.min(high)),
                None => others.push(condition.clone()),
            }
        }
        if last == u64::MAX {
            return Ok(None);
        }
        let uses_number = |expr: &Expr| {
            expr.column_refs()
                .iter()
                .any(|c| below.index_of_column(c).ok() == Some(number))
        };
        // Without the number nothing may stand behind it, or other columns would move.
        let numbered = number + 1 != taken.len()
            || others.iter().any(uses_number)
            || above.is_none_or(|above| above.iter().any(uses_number));
        let call = call.clone();
        let mark = self.draft.mark();
        let at = self.ordered(&window.input, &call.params.partition_by, &call.params.order_by)?;
        let output = OverOutput::TopN {
            first,
            last,
            numbered,
        };
        let results: Vec<Arc<Field>> = if numbered {
            vec![Arc::new(window.schema.field(last_column).as_ref().clone())]
        } else {
            Vec::new()
        };
        let mut key = self.draft.node(at.node).key.clone();
        if first >= last {
            key = Some(at.partition.clone());
        }
        let words = format!(
            "rows {first} to {last}{}",
            if numbered { ", numbered" } else { "" }
        );
        let node = self.over_node(&at, output, results, &words, key);
        let node = self.draft.shared(node, mark);
        let mut node = if numbered {
            self.without_order_columns(node, &at, &window.schema)?
        } else {
            self.without_order_columns(node, &at, window.input.schema())?
        };
        if through.is_some() {
            let fields = &below.as_arrow().fields()[..taken.len() - usize::from(!numbered)];
            let columns = &taken[..fields.len()];
            node = self.select(node, columns, Arc::new(Schema::new(fields.to_vec())));
        }
        for other in others {
            node = self.keep(node, &other, below)?;
        }
        Ok(Some(node))
    }

    /// `ORDER BY … LIMIT n`: the first rows of one partition.
    pub(super) fn first_rows(&mut self, limit: &Limit) -> Result<usize> {
        let refused = || refuse::node(&LogicalPlan::Limit(limit.clone()), self.finder);
        let count = |expr: &Option<Box<Expr>>| match expr.as_deref() {
            None => Some(None),
            Some(Expr::Literal(value, _)) => number(value).map(Some),
            Some(_) => None,
        };
        let (Some(skip), Some(Some(fetch))) = (count(&limit.skip), count(&limit.fetch)) else {
            return Err(refused());
        };
        let LogicalPlan::Sort(sort) = unnamed(&limit.input) else {
            return Err(refused());
        };
        let first = skip.unwrap_or(0).saturating_add(1);
        let last = skip.unwrap_or(0).saturating_add(fetch);
        let mark = self.draft.mark();
        let at = self.ordered(&sort.input, &[], &sort.expr)?;
        let output = OverOutput::TopN {
            first,
            last,
            numbered: false,
        };
        let key = match fetch {
            1 => Some(Vec::new()),
            _ => self.draft.node(at.node).key.clone(),
        };
        let node = self.over_node(&at, output, Vec::new(), &format!("rows {first} to {last}"), key);
        let node = self.draft.shared(node, mark);
        self.without_order_columns(node, &at, sort.input.schema())
    }

    /// The rows of a plan in the task of their partition, with partition and order as columns.
    fn ordered(
        &mut self,
        input: &LogicalPlan,
        partition_by: &[Expr],
        order_by: &[SortExpr],
    ) -> Result<Order> {
        let below: &DFSchemaRef = input.schema();
        let node = self.visit(input)?;
        let columns = below.fields().len();
        let mut computed: Vec<Expr> = Vec::new();
        let mut position = |expr: &Expr| match column_of(expr, below) {
            Some(column) => column,
            None => match computed.iter().position(|known| known == expr) {
                Some(known) => columns + known,
                None => {
                    computed.push(expr.clone());
                    columns + computed.len() - 1
                }
            },
        };
        let partition: Vec<usize> = partition_by.iter().map(&mut position).collect();
        let order: Vec<(usize, SortOptions)> = order_by
            .iter()
            .map(|sort| (position(&sort.expr), sort_options(sort)))
            .collect();
        let computed: Vec<&Expr> = computed.iter().collect();
        let (mut node, schema) = self.with_computed(node, below, &computed, "over")?;
        if !self.draft.is_placed_by(node, &partition) {
            node = self.shuffle(node, partition.clone(), 0);
        }
        Ok(Order {
            node,
            schema,
            columns,
            partition,
            order,
        })
    }

    fn over_node(
        &mut self,
        at: &Order,
        output: OverOutput,
        results: Vec<Arc<Field>>,
        words: &str,
        key: Option<Vec<usize>>,
    ) -> usize {
        let below = self.draft.node(at.node);
        let words = format!("over {:?} by {:?}: {words}", at.partition, at.order);
        let identity = identity::over(&words, &[&below.identity]);
        let input = Arc::clone(&below.schema);
        let fields: Vec<Arc<Field>> = input.fields().iter().cloned().chain(results).collect();
        let schema = Arc::new(Schema::new(fields));
        let plan = OverPlan {
            partition: at.partition.clone(),
            order: at.order.clone(),
            output,
            input,
            schema: Arc::clone(&schema),
            store: self.draft.name("over", &identity),
        };
        self.draft.add(Drafted {
            operator: Operator::Over(plan),
            inputs: vec![at.node],
            roles: vec![Role::Computed; schema.fields().len()],
            schema,
            append_only: false,
            key,
            placed_by: Some(at.partition.clone()),
            identity,
        })
    }

    /// Drops the columns computed for partition and order: they stand between the input's and the results.
    fn without_order_columns(&mut self, node: usize, at: &Order, wanted: &DFSchema) -> Result<usize> {
        let extra = at.schema.fields().len() - at.columns;
        if extra == 0 {
            return Ok(node);
        }
        let old: Vec<usize> = (0..wanted.fields().len())
            .map(|new| if new < at.columns { new } else { new + extra })
            .collect();
        Ok(self.select(node, &old, Arc::new(wanted.as_arrow().clone())))
    }
}

/// Order and place of NULLs of a sort expression.
pub(super) fn sort_options(sort: &SortExpr) -> SortOptions {
    SortOptions {
        descending: !sort.asc,
        nulls_first: sort.nulls_first,
    }
}

fn function(window: &Window, index: usize) -> Result<&WindowFunction> {
    match unaliased(&window.window_expr[index]) {
        Expr::WindowFunction(function) => Ok(function),
        other => Err(SqlError::unsupported(format!(
            "`{other}` is not supported with OVER"
        ))),
    }
}

/// The first and last number a condition lets through, if it compares the column `number` with a constant.
fn bounds(condition: &Expr, column: usize, schema: &DFSchema) -> Option<(u64, u64)> {
    let is_number = |expr: &Expr| {
        let expr = match expr {
            Expr::Cast(cast) => &cast.expr,
            other => other,
        };
        column_of(expr, schema) == Some(column)
    };
    let constant = |expr: &Expr| match expr {
        Expr::Literal(value, _) => number(value),
        _ => None,
    };
    match condition {
        Expr::Between(between) if !between.negated && is_number(&between.expr) => {
            Some((constant(&between.low)?, constant(&between.high)?))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (op, value) = if is_number(left) {
                (*op, constant(right)?)
            } else if is_number(right) {
                (op.swap()?, constant(left)?)
            } else {
                return None;
            };
            match op {
                Op::Lt => Some((1, value.saturating_sub(1))),
                Op::LtEq => Some((1, value)),
                Op::Eq => Some((value, value)),
                Op::Gt => Some((value.saturating_add(1), u64::MAX)),
                Op::GtEq => Some((value, u64::MAX)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A constant as a number of rows.
fn number(value: &ScalarValue) -> Option<u64> {
    match value {
        ScalarValue::UInt64(Some(n)) => Some(*n),
        ScalarValue::UInt32(Some(n)) => Some(u64::from(*n)),
        ScalarValue::Int64(Some(n)) => Some(u64::try_from(*n).unwrap_or(0)),
        ScalarValue::Int32(Some(n)) => Some(u64::try_from(*n).unwrap_or(0)),
        _ => None,
    }
}
