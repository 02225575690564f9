//! The logical node behind `TUMBLE(…)`, `HOP(…)` and `CUMULATE(…)`: each input row once per window it falls into, with `window_start` and
//! `window_end` added.
//!
//! Always true: predicates are not pushed below it, because the watermark must advance on rows that are filtered out later
//! (`prevent_predicate_push_down_columns` keeps its default: all columns).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::{Column, DFSchema, DFSchemaRef, Result, internal_err, plan_err};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

/// Name of the column holding a window's inclusive start.
pub const WINDOW_START: &str = "window_start";
/// Name of the column holding a window's exclusive end.
pub const WINDOW_END: &str = "window_end";

/// What differs between the windows that hold a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WindowKind {
    /// TUMBLE and HOP: windows of one length that begin every slide.
    Sliding,
    /// CUMULATE: windows that begin together, every size, and grow by the slide up to the size.
    Growing,
}

/// Windows of at most `size_micros`, aligned to 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WindowSpec {
    /// Length; of the longest, if they grow.
    pub size_micros: i64,
    /// Distance between starts, equal to the size for TUMBLE; or by how much they grow.
    pub slide_micros: i64,
    /// Which of both.
    pub kind: WindowKind,
}

impl WindowSpec {
    /// How many windows hold one row at most.
    pub fn windows_per_row(&self) -> i64 {
        (self.size_micros + self.slide_micros - 1) / self.slide_micros
    }

    /// The windows that hold the time `micros`: (start, exclusive end).
    pub fn windows_of(&self, micros: i64) -> impl Iterator<Item = (i64, i64)> + use<> {
        let spec = *self;
        let (first, count) = match spec.kind {
            WindowKind::Sliding => {
                let start = micros - micros.rem_euclid(spec.slide_micros);
                let before = (spec.size_micros - 1 - (micros - start)).div_euclid(spec.slide_micros);
                ((start, start + spec.size_micros), before + 1)
            }
            WindowKind::Growing => {
                let start = micros - micros.rem_euclid(spec.size_micros);
                let over = (micros - start).div_euclid(spec.slide_micros);
                let end = start + (over + 1) * spec.slide_micros;
                ((start, end), spec.size_micros / spec.slide_micros - over)
            }
        };
        (0..count).map(move |n| match spec.kind {
            WindowKind::Sliding => (first.0 - n * spec.slide_micros, first.1 - n * spec.slide_micros),
            WindowKind::Growing => (first.0, first.1 + n * spec.slide_micros),
        })
    }

    /// Whether each row is in one window.
    pub fn is_tumbling(&self) -> bool {
        self.size_micros == self.slide_micros
    }
}

impl fmt::Display for WindowSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (size, slide) = (Micros(self.size_micros), Micros(self.slide_micros));
        match self.kind {
            WindowKind::Growing => write!(f, "CUMULATE step {slide} size {size}"),
            WindowKind::Sliding if self.is_tumbling() => write!(f, "TUMBLE {size}"),
            WindowKind::Sliding => write!(f, "HOP slide {slide} size {size}"),
        }
    }
}

/// A length in the largest unit that divides it.
pub(crate) struct Micros(pub(crate) i64);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [
            (86_400_000_000, "d"),
            (3_600_000_000, "h"),
            (60_000_000, "min"),
            (1_000_000, "s"),
            (1_000, "ms"),
        ];
        match units
            .iter()
            .find(|(length, _)| self.0 != 0 && self.0 % length == 0)
        {
            Some((length, unit)) => write!(f, "{}{unit}", self.0 / length),
            None => write!(f, "{}us", self.0),
        }
    }
}

/// Assigns windows to the rows of its input by the column `time`.
#[derive(Debug, Clone)]
pub struct WindowNode {
    /// Where the rows come from.
    pub input: LogicalPlan,
    /// The event-time column, one of the input's.
    pub time: Column,
    /// Which windows.
    pub spec: WindowSpec,
    /// How long after its end a window takes late rows, where the query says so itself; else the stream's watermark says it.
    pub grace_micros: Option<i64>,
    schema: DFSchemaRef,
}

impl WindowNode {
    /// Adds the window columns to `input`; errs if it has columns of these names already.
    pub fn try_new(
        input: LogicalPlan,
        time: Column,
        spec: WindowSpec,
        grace_micros: Option<i64>,
    ) -> Result<WindowNode> {
        let input_schema = input.schema();
        let index = input_schema.index_of_column(&time)?;
        let (qualifier, field) = input_schema.qualified_field(index);
        if !matches!(
            field.data_type(),
            DataType::Timestamp(TimeUnit::Microsecond, None)
        ) {
            return plan_err!(
                "windows need a TIMESTAMP column, {} is {}",
                field.name(),
                crate::catalog::SqlType::display_arrow(field.data_type())
            );
        }
        let mut fields: Vec<_> = input_schema
            .iter()
            .map(|(q, f)| (q.cloned(), Arc::clone(f)))
            .collect();
        for name in [WINDOW_START, WINDOW_END] {
            if input_schema.has_column_with_unqualified_name(name) {
                return plan_err!("the input of a window function may not have a column called {name}");
            }
            fields.push((
                qualifier.cloned(),
                Arc::new(Field::new(name, field.data_type().clone(), false)),
            ));
        }
        let schema = Arc::new(DFSchema::new_with_metadata(
            fields,
            input_schema.metadata().clone(),
        )?);
        Ok(WindowNode {
            input,
            time,
            spec,
            grace_micros,
            schema,
        })
    }

    /// Position of the time column in the input.
    pub fn time_index(&self) -> Result<usize> {
        self.input.schema().index_of_column(&self.time)
    }
}

impl UserDefinedLogicalNodeCore for WindowNode {
    fn name(&self) -> &str {
        "Windows"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![Expr::Column(self.time.clone())]
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Windows: {} on {}", self.spec, self.time)?;
        match self.grace_micros {
            Some(grace) => write!(f, ", grace {}", Micros(grace)),
            None => Ok(()),
        }
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<WindowNode> {
        let (Ok([expr]), Ok([input])) = (<[Expr; 1]>::try_from(exprs), <[LogicalPlan; 1]>::try_from(inputs))
        else {
            return internal_err!("a window node has one expression and one input");
        };
        match expr {
            Expr::Column(time) => WindowNode::try_new(input, time, self.spec, self.grace_micros),
            other => internal_err!("the time column of a window node became {other}"),
        }
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let inputs = self.input.schema().fields().len();
        let mut columns: Vec<usize> = output_columns.iter().copied().filter(|c| *c < inputs).collect();
        columns.push(self.time_index().ok()?);
        columns.sort_unstable();
        columns.dedup();
        Some(vec![columns])
    }
}

impl PartialEq for WindowNode {
    fn eq(&self, other: &WindowNode) -> bool {
        (self.spec, self.grace_micros, &self.time) == (other.spec, other.grace_micros, &other.time)
            && self.input == other.input
    }
}

impl Eq for WindowNode {}

impl Hash for WindowNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.spec.hash(state);
        self.grace_micros.hash(state);
        self.time.hash(state);
        self.input.hash(state);
    }
}

impl PartialOrd for WindowNode {
    fn partial_cmp(&self, other: &WindowNode) -> Option<Ordering> {
        match self.spec.cmp(&other.spec) {
            Ordering::Equal => self
                .input
                .partial_cmp(&other.input)
                .filter(|o| *o != Ordering::Equal || self == other),
            unequal => Some(unequal),
        }
    }
}

#[cfg(test)]
#[path = "window_test.rs"]
mod window_test;
