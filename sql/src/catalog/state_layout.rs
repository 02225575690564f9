//! How the groups of a view lie in its store, as the catalogue remembers it from the day the view was created.
//!
//! Always true: said in words of this file only. Neither the text of a plan nor the printed form of a foreign type is in it: those may
//! change with the version of a library, and then a view would not find, or would misread, the groups it has. The text of a layout is
//! also written beside the stored groups, so it may only grow. What a layout is compared with: `runtime/view_plan.rs`.

use std::fmt;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::error::{Result, SqlError};

/// Types of the group keys, aggregates with the types of their state, and the windows the panes belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateLayout {
    /// The windows grouped by, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowLayout>,
    /// Types of the key columns, in order.
    pub keys: Vec<String>,
    /// The aggregates, in order.
    pub aggregates: Vec<AggregateLayout>,
}

/// Windows of a length and a distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowLayout {
    /// Length in microseconds.
    pub size_micros: i64,
    /// Distance between starts in microseconds.
    pub slide_micros: i64,
}

/// One aggregate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AggregateLayout {
    /// The function, by the name users write.
    pub function: String,
    /// Types of the columns it keeps.
    pub state: Vec<String>,
}

impl fmt::Display for StateLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.window {
            None => f.write_str("no window")?,
            Some(window) => write!(
                f,
                "windows of {} us every {} us",
                window.size_micros, window.slide_micros
            )?,
        }
        let aggregates: Vec<String> = self
            .aggregates
            .iter()
            .map(|a| format!("{}({})", a.function, a.state.join(" ")))
            .collect();
        write!(
            f,
            "; keys [{}]; aggregates [{}]",
            self.keys.join(", "),
            aggregates.join(", ")
        )
    }
}

/// The name of a type in layouts. Errs for types groups cannot be kept of.
pub fn layout_type(data_type: &DataType) -> Result<String> {
    let plain = match data_type {
        DataType::Null => "null",
        DataType::Boolean => "bool",
        DataType::Int8 => "int8",
        DataType::Int16 => "int16",
        DataType::Int32 => "int32",
        DataType::Int64 => "int64",
        DataType::UInt8 => "uint8",
        DataType::UInt16 => "uint16",
        DataType::UInt32 => "uint32",
        DataType::UInt64 => "uint64",
        DataType::Float32 => "float32",
        DataType::Float64 => "float64",
        DataType::Utf8 => "utf8",
        DataType::LargeUtf8 => "large_utf8",
        DataType::Utf8View => "utf8_view",
        DataType::Binary => "binary",
        DataType::LargeBinary => "large_binary",
        DataType::BinaryView => "binary_view",
        DataType::Date32 => "date32",
        DataType::Date64 => "date64",
        DataType::Time32(unit) | DataType::Time64(unit) => return Ok(format!("time_{}", unit_name(unit))),
        DataType::Timestamp(unit, None) => return Ok(format!("timestamp_{}", unit_name(unit))),
        DataType::Timestamp(unit, Some(zone)) => {
            return Ok(format!("timestamp_{} {zone}", unit_name(unit)));
        }
        DataType::Duration(unit) => return Ok(format!("duration_{}", unit_name(unit))),
        DataType::Decimal128(precision, scale) => return Ok(format!("decimal128 {precision} {scale}")),
        DataType::List(item) => return Ok(format!("list of {}", layout_type(item.data_type())?)),
        other => {
            return Err(
                SqlError::unsupported(format!("groups cannot be kept of values of type {other}"))
                    .with_hint("cast the column to another type, for example VARCHAR"),
            );
        }
    };
    Ok(plain.to_owned())
}

fn unit_name(unit: &TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}
