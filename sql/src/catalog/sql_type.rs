//! The column types of streams and how they map to Arrow.
//!
//! Always true: a TIMESTAMP is microseconds since 1970-01-01 UTC, without a zone in the type; strings are `Utf8`.

use std::fmt;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::sql::sqlparser::ast::DataType as AstType;
use serde::{Deserialize, Serialize};

use crate::error::{Result, SqlError};
use crate::suggest;

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SqlType {
    /// `BOOLEAN`.
    Boolean,
    /// `SMALLINT`, 16 bits.
    SmallInt,
    /// `INT`, 32 bits.
    Int,
    /// `BIGINT`, 64 bits.
    BigInt,
    /// `REAL`, 32 bits.
    Real,
    /// `DOUBLE`, 64 bits.
    Double,
    /// `VARCHAR`, any length.
    Varchar,
    /// `DATE`.
    Date,
    /// `TIMESTAMP`, microseconds UTC.
    Timestamp,
}

/// What a user may write, for hints.
const NAMES: [&str; 9] = [
    "BOOLEAN",
    "SMALLINT",
    "INT",
    "BIGINT",
    "REAL",
    "DOUBLE",
    "VARCHAR",
    "DATE",
    "TIMESTAMP",
];

impl SqlType {
    /// The type sqlparser read, in any of the usual spellings.
    pub fn from_ast(ast: &AstType) -> Result<SqlType> {
        Ok(match ast {
            AstType::Boolean | AstType::Bool => SqlType::Boolean,
            AstType::SmallInt(_) | AstType::Int2(_) => SqlType::SmallInt,
            AstType::Int(_) | AstType::Integer(_) | AstType::Int4(_) => SqlType::Int,
            AstType::BigInt(_) | AstType::Int8(_) => SqlType::BigInt,
            AstType::Real | AstType::Float4 => SqlType::Real,
            AstType::Double(_) | AstType::DoublePrecision | AstType::Float(_) | AstType::Float8 => {
                SqlType::Double
            }
            AstType::Varchar(None)
            | AstType::Char(None)
            | AstType::CharVarying(None)
            | AstType::CharacterVarying(None)
            | AstType::Text
            | AstType::String(None) => SqlType::Varchar,
            AstType::Varchar(Some(_)) | AstType::Char(Some(_)) | AstType::CharacterVarying(Some(_)) => {
                return Err(
                    SqlError::unsupported(format!("the length in {ast} would not be checked"))
                        .with_hint("write VARCHAR"),
                );
            }
            AstType::Date => SqlType::Date,
            AstType::Timestamp(None, zone) if !format!("{zone}").contains("WITH TIME") => SqlType::Timestamp,
            AstType::Timestamp(..) => {
                return Err(
                    SqlError::unsupported(format!("type {ast} is not supported")).with_hint(
                        "write TIMESTAMP: microseconds, in UTC; values with an offset are converted",
                    ),
                );
            }
            other => {
                let name = other.to_string();
                let word: String = name
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                return Err(SqlError::unsupported(format!("type {name} is not supported"))
                    .with_hint(suggest::hint(&word, NAMES, "types")));
            }
        })
    }

    /// The Arrow type of the column.
    pub fn to_arrow(self) -> DataType {
        match self {
            SqlType::Boolean => DataType::Boolean,
            SqlType::SmallInt => DataType::Int16,
            SqlType::Int => DataType::Int32,
            SqlType::BigInt => DataType::Int64,
            SqlType::Real => DataType::Float32,
            SqlType::Double => DataType::Float64,
            SqlType::Varchar => DataType::Utf8,
            SqlType::Date => DataType::Date32,
            SqlType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        }
    }

    /// The name to show for an Arrow type, ours where there is one.
    pub fn display_arrow(data_type: &DataType) -> String {
        match data_type {
            DataType::Boolean => "BOOLEAN".into(),
            DataType::Int16 => "SMALLINT".into(),
            DataType::Int32 => "INT".into(),
            DataType::Int64 => "BIGINT".into(),
            DataType::Float32 => "REAL".into(),
            DataType::Float64 => "DOUBLE".into(),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR".into(),
            DataType::Date32 => "DATE".into(),
            DataType::Timestamp(_, None) => "TIMESTAMP".into(),
            DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE".into(),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SqlType::Boolean => "BOOLEAN",
            SqlType::SmallInt => "SMALLINT",
            SqlType::Int => "INT",
            SqlType::BigInt => "BIGINT",
            SqlType::Real => "REAL",
            SqlType::Double => "DOUBLE",
            SqlType::Varchar => "VARCHAR",
            SqlType::Date => "DATE",
            SqlType::Timestamp => "TIMESTAMP",
        })
    }
}
