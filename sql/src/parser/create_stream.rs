//! `CREATE STREAM name (column type [NOT NULL], …, WATERMARK FOR c AS c - INTERVAL …) WITH (…)`.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::{CreateStream, WithOptions, interval_micros};
use crate::catalog::{ColumnDefinition, SqlType, WatermarkDefinition};
use crate::error::{Result, SqlError};
use crate::suggest;

/// Reads what follows `CREATE STREAM`.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<CreateStream> {
    let if_not_exists = cursor.take(&["IF", "NOT", "EXISTS"]);
    let name = cursor.identifier("the name of the stream")?;
    cursor.expect_token(&Token::LParen)?;
    let mut columns: Vec<ColumnDefinition> = Vec::new();
    let mut watermark = None;
    loop {
        if cursor.looks_at(&["WATERMARK", "FOR"]) {
            let before = watermark.replace(parse_watermark(cursor, &columns)?);
            if before.is_some() {
                return Err(cursor.at_last(SqlError::invalid(
                    "a stream has one WATERMARK, this is the second",
                )));
            }
        } else {
            let column = parse_column(cursor, &columns)?;
            columns.push(column);
        }
        if cursor.take_token(&Token::RParen) {
            break;
        }
        if !cursor.take_token(&Token::Comma) {
            return Err(cursor.expected("`,` or `)`"));
        }
    }
    if columns.is_empty() {
        return Err(cursor.at_last(SqlError::invalid(format!("stream \"{name}\" has no columns"))));
    }
    let options = WithOptions::parse(cursor)?;
    Ok(CreateStream {
        name,
        if_not_exists,
        columns,
        watermark,
        options,
    })
}

fn parse_column(cursor: &mut Cursor<'_>, before: &[ColumnDefinition]) -> Result<ColumnDefinition> {
    let name = cursor.identifier("a column name or WATERMARK FOR")?;
    if before.iter().any(|column| column.name == name) {
        return Err(cursor.at_last(SqlError::invalid(format!("column \"{name}\" is given twice"))));
    }
    let place = cursor.source().place_of(&cursor.peek());
    let data_type = cursor.data_type()?;
    let sql_type = SqlType::from_ast(&data_type).map_err(|e| e.with_place(place))?;
    let not_null = cursor.take(&["NOT", "NULL"]);
    if !not_null {
        cursor.take(&["NULL"]);
    }
    Ok(ColumnDefinition {
        name,
        sql_type,
        not_null,
    })
}

fn parse_watermark(cursor: &mut Cursor<'_>, columns: &[ColumnDefinition]) -> Result<WatermarkDefinition> {
    cursor.expect(&["WATERMARK", "FOR"])?;
    let column = cursor.identifier("the event-time column")?;
    let Some(definition) = columns.iter().find(|c| c.name == column) else {
        let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
        return Err(cursor.at_last(
            SqlError::name(format!("unknown column \"{column}\" in WATERMARK FOR")).with_hint(suggest::hint(
                &column,
                names.iter().copied(),
                "columns",
            )),
        ));
    };
    if definition.sql_type != SqlType::Timestamp {
        return Err(cursor.at_last(SqlError::invalid(format!(
            "the event-time column \"{column}\" must be a TIMESTAMP, it is a {}",
            definition.sql_type
        ))));
    }
    cursor.expect(&["AS"])?;
    let place = cursor.source().place_of(&cursor.peek());
    let expr = cursor.expression()?;
    let delay_micros = delay(&expr, &column).map_err(|e| e.with_place(place))?;
    Ok(WatermarkDefinition { column, delay_micros })
}

/// `c` or `c - INTERVAL …`.
fn delay(expr: &Expr, column: &str) -> Result<i64> {
    let is_column = |e: &Expr| match e {
        Expr::Identifier(ident) if ident.quote_style.is_some() => ident.value == column,
        Expr::Identifier(ident) => ident.value.eq_ignore_ascii_case(column),
        _ => false,
    };
    match expr {
        e if is_column(e) => Ok(0),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Minus,
            right,
        } if is_column(left) => {
            let micros = interval_micros(right)?;
            if micros < 0 {
                return Err(SqlError::invalid("the watermark may not run ahead of the rows")
                    .with_hint(format!("write {column} - INTERVAL '1' MINUTE")));
            }
            Ok(micros)
        }
        _ => Err(
            SqlError::unsupported("a watermark is its column minus an interval").with_hint(format!(
                "write WATERMARK FOR {column} AS {column} - INTERVAL '1' MINUTE"
            )),
        ),
    }
}
