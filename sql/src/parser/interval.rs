//! Intervals as microseconds.
//!
//! Always true: months and years are refused, for their length depends on where they start; a day is 24 hours.

use datafusion::arrow::compute::kernels::cast_utils::parse_interval_month_day_nano;
use datafusion::sql::sqlparser::ast::{DateTimeField, Expr, Interval, Value};

use crate::error::{Result, SqlError};

/// The length of `INTERVAL '1' HOUR`, `INTERVAL '90 minutes'` or `INTERVAL 5 SECOND` in microseconds.
///
/// Errs when the expression is not an interval literal, uses months or years, or is finer than a microsecond.
pub fn interval_micros(expr: &Expr) -> Result<i64> {
    let Expr::Interval(interval) = expr else {
        return Err(
            SqlError::invalid(format!("`{expr}` is not an interval")).with_hint("write INTERVAL '1' HOUR")
        );
    };
    let text = literal(interval)?;
    let text = match &interval.leading_field {
        Some(field) => format!("{text} {}", field_name(field)?),
        None => text,
    };
    let value = parse_interval_month_day_nano(&text).map_err(|_| {
        SqlError::invalid(format!("`{expr}` is not an interval we can read"))
            .with_hint("write INTERVAL '1' HOUR, INTERVAL '90' MINUTE or INTERVAL '1 day'")
    })?;
    if value.months != 0 {
        return Err(SqlError::unsupported(format!("`{expr}` has no fixed length"))
            .with_hint("use weeks, days, hours, minutes, seconds or milliseconds"));
    }
    if value.nanoseconds % 1_000 != 0 {
        return Err(SqlError::unsupported(format!(
            "`{expr}` is finer than a microsecond"
        )));
    }
    i64::from(value.days)
        .checked_mul(86_400_000_000)
        .and_then(|days| days.checked_add(value.nanoseconds / 1_000))
        .ok_or_else(|| SqlError::invalid(format!("`{expr}` is too long")))
}

fn literal(interval: &Interval) -> Result<String> {
    match interval.value.as_ref() {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::Number(text, _) => Ok(text.clone()),
            other => Err(SqlError::invalid(format!(
                "`{other}` is not the length of an interval"
            ))),
        },
        other => Err(
            SqlError::invalid(format!("`{other}` is not the length of an interval"))
                .with_hint("an interval is a literal: INTERVAL '1' HOUR"),
        ),
    }
}

fn field_name(field: &DateTimeField) -> Result<&'static str> {
    Ok(match field {
        DateTimeField::Week(_) | DateTimeField::Weeks => "week",
        DateTimeField::Day | DateTimeField::Days => "day",
        DateTimeField::Hour | DateTimeField::Hours => "hour",
        DateTimeField::Minute | DateTimeField::Minutes => "minute",
        DateTimeField::Second | DateTimeField::Seconds => "second",
        DateTimeField::Millisecond | DateTimeField::Milliseconds => "millisecond",
        DateTimeField::Microsecond | DateTimeField::Microseconds => "microsecond",
        DateTimeField::Month | DateTimeField::Months => "month",
        DateTimeField::Year | DateTimeField::Years => "year",
        other => {
            return Err(
                SqlError::unsupported(format!("intervals in {other} are not supported"))
                    .with_hint("use weeks, days, hours, minutes, seconds or milliseconds"),
            );
        }
    })
}
