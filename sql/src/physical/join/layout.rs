//! The layouts of the two stores of a join, in words: written beside the stores and into the catalogue.
//!
//! Always true: said in words of this file and of `catalog/state_layout.rs` only; two plans of the same layout read each other's rows, as long as
//! they ask for the same matches. How the bytes are made: `side_codec.rs`.

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::row::{RowConverter, SortField};

use super::kind::Shown;
use crate::catalog::layout_type;
use crate::error::{Result, SqlError};
use crate::logical::JoinPlan;

/// What must stay the same for stored rows to be readable, for the left store and the right one. Errs for columns that cannot be kept, and for keys whose two
/// columns have different types.
pub fn join_layouts(plan: &JoinPlan) -> Result<[String; 2]> {
    let shown = Shown::of(plan.kind);
    let left: Vec<usize> = plan.keys.iter().map(|(left, _)| *left).collect();
    let right: Vec<usize> = plan.keys.iter().map(|(_, right)| *right).collect();
    for (left, right) in &plan.keys {
        let (a, b) = (kind(&plan.left, *left)?, kind(&plan.right, *right)?);
        if a != b {
            return Err(SqlError::unsupported(format!(
                "column \"{}\" of type {a} cannot be joined with column \"{}\" of type {b}",
                plan.left.field(*left).name(),
                plan.right.field(*right).name()
            ))
            .with_hint("cast one of the columns to the type of the other"));
        }
    }
    let nulls = plan.null_equals_null;
    Ok([
        side(&plan.left, &left, nulls, shown[0])?,
        side(&plan.right, &right, nulls, shown[1])?,
    ])
}

fn side(schema: &SchemaRef, keys: &[usize], null_equals_null: bool, shown: Shown) -> Result<String> {
    let key = keys.iter().map(|column| kind(schema, *column));
    let row = (0..schema.fields().len()).map(|column| kind(schema, column));
    Ok(format!(
        "rows of a join; key [{}]{}; row [{}]; kept: {}",
        key.collect::<Result<Vec<_>>>()?.join(", "),
        if null_equals_null { ", or null" } else { "" },
        row.collect::<Result<Vec<_>>>()?.join(", "),
        if shown.is_counted() {
            "weight, matches"
        } else {
            "weight"
        },
    ))
}

/// The name of a column's type. Errs when no row with it can be kept.
fn kind(schema: &SchemaRef, column: usize) -> Result<String> {
    let field = schema.fields().get(column).ok_or_else(|| {
        SqlError::invalid(format!(
            "a join asks for column {column} of {}",
            schema.fields().len()
        ))
    })?;
    let named = layout_type(field.data_type()).ok();
    let sort = SortField::new(field.data_type().clone());
    named
        .filter(|_| RowConverter::supports_fields(&[sort]))
        .ok_or_else(|| {
            SqlError::unsupported(format!(
                "rows with column \"{}\" cannot be joined: its type is {}",
                field.name(),
                field.data_type()
            ))
            .with_hint("cast the column to another type, for example VARCHAR")
        })
}
