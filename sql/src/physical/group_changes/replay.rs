//! Aggregates without a state of their own: the values of a group are fed to the function's accumulator again whenever the group changed.
//!
//! Always true: values come in the order of the call, those that are equal in it in the order of their bytes, each as often as it is there, or
//! once for DISTINCT. So the result depends on the values alone. The accumulator is never told of DISTINCT: some keep such values in a hash table
//! and give them in no order.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, UInt32Array};
use datafusion::arrow::compute::{SortOptions, take};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::logical_expr::Accumulator;
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use datafusion::scalar::ScalarValue;

use super::value_set::ValueSpec;
use crate::error::{Result, SqlError};
use crate::logical::AggregateCall;

/// Values fed at a time.
const ROWS_MAX: usize = 8192;

/// How to feed one call.
pub(super) struct Replay {
    function: AggregateFunctionExpr,
    inputs: Vec<Input>,
    distinct: bool,
    output_type: DataType,
}

/// Where a column for the accumulator comes from.
enum Input {
    /// A column of the set.
    Column(usize),
    Constant(ScalarValue),
}

impl Replay {
    /// What the call needs to keep, and how it is fed from that.
    pub(super) fn new(call: &AggregateCall, input: &SchemaRef) -> Result<(ValueSpec, Replay)> {
        let mut spec = ValueSpec {
            columns: Vec::new(),
            filter: call.filter,
            skips_nulls: false,
        };
        let orders: Vec<Input> = call
            .order
            .iter()
            .map(|(column, options)| Input::Column(spec.place(*column, *options)))
            .collect();
        let mut inputs = Vec::with_capacity(call.arguments.len() + orders.len());
        for (argument, column) in call.arguments.iter().enumerate() {
            inputs.push(match call.constants.get(argument) {
                Some(Some(constant)) => Input::Constant(constant.clone()),
                _ => Input::Column(spec.place(*column, SortOptions::default())),
            });
        }
        if let (true, Some(column)) = (spec.columns.is_empty(), call.arguments.first()) {
            spec.place(*column, SortOptions::default());
        }
        let function = function_of(call, input)?;
        if !function.order_bys().is_empty() {
            inputs.extend(orders);
        }
        let replay = Replay {
            function,
            inputs,
            distinct: call.distinct,
            output_type: call.output_type.clone(),
        };
        replay.accumulator().map_err(|reason| refused(call, &reason))?;
        Ok((spec, replay))
    }

    /// A fresh accumulator.
    pub(super) fn accumulator(&self) -> Result<Box<dyn Accumulator>, String> {
        self.function
            .create_accumulator()
            .map_err(|e| e.strip_backtrace())
    }

    /// Feeds values, each of which is there `weights[i]` times, at least once.
    pub(super) fn feed(
        &self,
        accumulator: &mut dyn Accumulator,
        columns: &[ArrayRef],
        weights: &[i64],
    ) -> Result<(), String> {
        if self.distinct || weights.iter().all(|weight| *weight == 1) {
            return self.feed_rows(accumulator, columns, weights.len());
        }
        let mut indices: Vec<u32> = Vec::with_capacity(ROWS_MAX);
        for (row, weight) in weights.iter().enumerate() {
            let mut left = *weight;
            while left > 0 {
                let room = (ROWS_MAX - indices.len()) as i64;
                let times = left.min(room);
                indices.extend(std::iter::repeat_n(row as u32, times as usize));
                left -= times;
                if indices.len() == ROWS_MAX {
                    self.feed_repeated(accumulator, columns, &mut indices)?;
                }
            }
        }
        self.feed_repeated(accumulator, columns, &mut indices)
    }

    /// The result; its type is that of the call.
    pub(super) fn result(&self, accumulator: &mut dyn Accumulator) -> Result<ScalarValue, String> {
        let result = accumulator.evaluate().map_err(|e| e.strip_backtrace())?;
        if result.data_type() == self.output_type {
            return Ok(result);
        }
        result.cast_to(&self.output_type).map_err(|e| e.strip_backtrace())
    }

    fn feed_repeated(
        &self,
        accumulator: &mut dyn Accumulator,
        columns: &[ArrayRef],
        indices: &mut Vec<u32>,
    ) -> Result<(), String> {
        if indices.is_empty() {
            return Ok(());
        }
        let indices = UInt32Array::from(std::mem::take(indices));
        let columns = columns.iter().map(|column| take(column, &indices, None));
        let columns = columns
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| e.to_string())?;
        self.feed_rows(accumulator, &columns, indices.len())
    }

    fn feed_rows(
        &self,
        accumulator: &mut dyn Accumulator,
        columns: &[ArrayRef],
        rows: usize,
    ) -> Result<(), String> {
        let inputs = self.inputs.iter().map(|input| match input {
            Input::Column(place) => Ok(columns[*place].clone()),
            Input::Constant(value) => value.to_array_of_size(rows),
        });
        inputs
            .collect::<Result<Vec<_>, _>>()
            .and_then(|inputs| accumulator.update_batch(&inputs))
            .map_err(|e| e.strip_backtrace())
    }
}

fn function_of(call: &AggregateCall, input: &SchemaRef) -> Result<AggregateFunctionExpr> {
    let column = |column: usize| Arc::new(Column::new(input.field(column).name(), column));
    let arguments = call.arguments.iter().enumerate().map(|(argument, place)| {
        let constant = call.constants.get(argument).cloned().flatten();
        match constant {
            Some(constant) => Arc::new(Literal::new(constant)) as Arc<dyn PhysicalExpr>,
            None => column(*place),
        }
    });
    let orders = call
        .order
        .iter()
        .map(|(place, options)| PhysicalSortExpr::new(column(*place), *options));
    let function = AggregateExprBuilder::new(Arc::clone(&call.function), arguments.collect())
        .schema(Arc::clone(input))
        .alias(&call.text)
        .order_by(orders.collect())
        .with_ignore_nulls(call.ignore_nulls)
        .build()
        .map_err(|e| refused(call, &e.strip_backtrace()))?;
    if !function.order_sensitivity().is_beneficial() {
        return Ok(function);
    }
    // The values come in order: the accumulator need not sort them.
    let told = Arc::new(function.clone()).with_beneficial_ordering(true);
    let told = told.map_err(|e| refused(call, &e.strip_backtrace()))?;
    Ok(told.unwrap_or(function))
}

fn refused(call: &AggregateCall, reason: &str) -> SqlError {
    SqlError::unsupported(format!("cannot compute {}: {reason}", call.text))
}
