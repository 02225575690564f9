//! How each aggregate of a GROUP BY is kept: chosen once, from its function, its types and whether rows are taken back.
//!
//! Always true: the choice depends on the plan alone, for it decides the layout of the state. Sums where there are any (`sums.rs`); the extreme
//! where rows are only added (`extremes.rs`); else the values themselves (`value_set.rs`), the first of which is MIN or MAX, whose comings and
//! goings are counted for DISTINCT, and which are replayed into the function's own accumulator for everything else (`replay.rs`).

use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::row::SortField;
use datafusion::functions_aggregate::min_max::{Max, Min};

use super::extremes::Extremes;
use super::replay::Replay;
use super::sums::{Sums, sums_for};
use super::value_set::{ValueSet, ValueSpec, type_words};
use crate::error::{Result, SqlError};
use crate::logical::{AggregateCall, GroupChangesPlan};

/// One aggregate.
pub(super) struct Call {
    pub(super) kind: CallKind,
    /// Columns that must not be NULL for a row to count.
    pub(super) present: Vec<usize>,
    /// The column that is added up or compared.
    pub(super) argument: Option<usize>,
    pub(super) filter: Option<usize>,
    pub(super) output_type: DataType,
    pub(super) text: String,
}

/// How it is kept.
pub(super) enum CallKind {
    /// As a sum over rows.
    Sums(Box<dyn Sums>),
    /// As a sum over the values of a set.
    Distinct(usize, Box<dyn Sums>),
    /// As the extreme.
    Extreme(Extremes),
    /// It is the first value of a set.
    First(usize),
    /// The values of a set are replayed.
    Replay(usize, Box<Replay>),
}

/// The aggregates of `plan` and the sets of values they need.
pub(super) fn calls_of(plan: &GroupChangesPlan) -> Result<(Vec<Call>, Vec<ValueSet>)> {
    let mut sets = Sets {
        sets: Vec::new(),
        input: &plan.input,
    };
    let calls = plan.calls.iter().map(|call| call_of(call, plan, &mut sets));
    let calls = calls.collect::<Result<Vec<_>>>()?;
    Ok((calls, sets.sets))
}

struct Sets<'a> {
    sets: Vec<ValueSet>,
    input: &'a SchemaRef,
}

impl Sets<'_> {
    fn number(&mut self, spec: ValueSpec) -> Result<usize> {
        if let Some(number) = self.sets.iter().position(|set| set.spec == spec) {
            return Ok(number);
        }
        if self.sets.len() > usize::from(u8::MAX) {
            return Err(SqlError::unsupported(
                "a GROUP BY has more than 256 aggregates that keep their values",
            ));
        }
        self.sets.push(ValueSet::new(spec, self.input)?);
        Ok(self.sets.len() - 1)
    }
}

fn call_of(call: &AggregateCall, plan: &GroupChangesPlan, sets: &mut Sets<'_>) -> Result<Call> {
    let argument = call.arguments.first().copied();
    let kind = kind_of(call, plan, sets)?;
    let present = match kind {
        CallKind::Sums(_) | CallKind::Extreme(_) => call.arguments.clone(),
        _ => Vec::new(),
    };
    Ok(Call {
        kind,
        present,
        argument,
        filter: call.filter,
        output_type: call.output_type.clone(),
        text: call.text.clone(),
    })
}

fn kind_of(call: &AggregateCall, plan: &GroupChangesPlan, sets: &mut Sets<'_>) -> Result<CallKind> {
    let argument = call.arguments.first().copied();
    let argument_type = argument.map(|column| plan.input.field(column).data_type());
    if let Some(sums) = sums_for(call, argument_type) {
        if !call.distinct || argument.is_none() {
            return Ok(CallKind::Sums(sums));
        }
        let mut spec = ValueSpec {
            columns: Vec::new(),
            filter: call.filter,
            skips_nulls: true,
        };
        for column in &call.arguments {
            spec.place(*column, SortOptions::default());
        }
        return Ok(CallKind::Distinct(sets.number(spec)?, sums));
    }
    let function = call.function.inner().as_ref();
    let largest = function.is::<Max>();
    if let Some(column) = argument.filter(|_| largest || function.is::<Min>()) {
        if plan.append_only {
            type_words(&plan.input, column)?;
            let field = SortField::new(plan.input.field(column).data_type().clone());
            return Ok(CallKind::Extreme(Extremes::new(largest, field)?));
        }
        let options = SortOptions {
            descending: largest,
            ..SortOptions::default()
        };
        let spec = ValueSpec {
            columns: vec![(column, options)],
            filter: call.filter,
            skips_nulls: true,
        };
        return Ok(CallKind::First(sets.number(spec)?));
    }
    let (spec, replay) = Replay::new(call, &plan.input)?;
    Ok(CallKind::Replay(sets.number(spec)?, Box::new(replay)))
}

impl Call {
    pub(super) fn resize(&mut self, slots: usize) {
        match &mut self.kind {
            CallKind::Sums(sums) | CallKind::Distinct(_, sums) => sums.resize(slots),
            CallKind::Extreme(extremes) => extremes.resize(slots),
            CallKind::First(_) | CallKind::Replay(..) => {}
        }
    }

    /// Whether its state of a slot is as new.
    pub(super) fn is_zero(&self, slot: usize) -> bool {
        match &self.kind {
            CallKind::Sums(sums) | CallKind::Distinct(_, sums) => sums.is_zero(slot),
            CallKind::Extreme(extremes) => extremes.is_zero(slot),
            CallKind::First(_) | CallKind::Replay(..) => true,
        }
    }

    /// Appends its state of a slot; nothing if it is all in the store of values.
    pub(super) fn encode(&self, slot: usize, out: &mut Vec<u8>) {
        match &self.kind {
            CallKind::Sums(sums) | CallKind::Distinct(_, sums) => sums.encode(slot, out),
            CallKind::Extreme(extremes) => extremes.encode(slot, out),
            CallKind::First(_) | CallKind::Replay(..) => {}
        }
    }

    /// Reads what `encode` wrote.
    pub(super) fn decode(&mut self, slot: usize, bytes: &mut &[u8]) -> Result<()> {
        match &mut self.kind {
            CallKind::Sums(sums) | CallKind::Distinct(_, sums) => sums.decode(slot, bytes),
            CallKind::Extreme(extremes) => extremes.decode(slot, bytes),
            CallKind::First(_) | CallKind::Replay(..) => Ok(()),
        }
    }

    /// Its state in words.
    pub(super) fn words(&self, input: &SchemaRef) -> Result<String> {
        Ok(match &self.kind {
            CallKind::Sums(sums) => sums.words().to_owned(),
            CallKind::Distinct(set, sums) => format!("{} of values {set}", sums.words()),
            CallKind::Extreme(_) => match self.argument {
                Some(column) => format!("extreme {}", type_words(input, column)?),
                None => "extreme".to_owned(),
            },
            CallKind::First(set) | CallKind::Replay(set, _) => format!("values {set}"),
        })
    }
}
