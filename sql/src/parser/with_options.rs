//! `WITH (name = value, …)`: read as text, numbers and booleans, and checked against the options a statement knows.
//!
//! Always true: an option nobody asked for is an error with a near name, never ignored.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use crate::error::{Place, Result, SqlError};
use crate::suggest;

/// The value of an option, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionValue {
    /// `'text'` or a bare word.
    Text(String),
    /// A number.
    Number(String),
}

/// The options of one statement with their places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WithOptions {
    entries: BTreeMap<String, (OptionValue, Option<Place>)>,
}

impl WithOptions {
    /// Reads `WITH (…)` if it comes next, else gives no options.
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<WithOptions> {
        let mut options = WithOptions::default();
        if !cursor.take(&["WITH"]) {
            return Ok(options);
        }
        cursor.expect_token(&Token::LParen)?;
        loop {
            let place = cursor.source().place_of(&cursor.peek());
            let name = option_name(cursor)?;
            cursor.expect_token(&Token::Eq)?;
            let value = match cursor.peek().token {
                Token::SingleQuotedString(text) => OptionValue::Text(text),
                Token::Number(number, _) => OptionValue::Number(number),
                Token::Word(word) => OptionValue::Text(word.value),
                _ => return Err(cursor.expected("a value: 'text' or a number")),
            };
            cursor.advance();
            if options
                .entries
                .insert(name.clone(), (value, place.clone()))
                .is_some()
            {
                return Err(SqlError::invalid(format!("option \"{name}\" is given twice")).with_place(place));
            }
            if cursor.take_token(&Token::RParen) {
                return Ok(options);
            }
            cursor.expect_token(&Token::Comma)?;
        }
    }

    /// Refuses options that are not among `known`.
    pub fn check_known(&self, known: &[&str]) -> Result<()> {
        match self
            .entries
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()))
        {
            None => Ok(()),
            Some((name, (_, place))) => Err(SqlError::name(format!("unknown option \"{name}\""))
                .with_place(place.clone())
                .with_hint(suggest::hint(name, known.iter().copied(), "options"))),
        }
    }

    /// The option as text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.entries.get(name).map(|(value, _)| match value {
            OptionValue::Text(text) | OptionValue::Number(text) => text.as_str(),
        })
    }

    /// The option as a count of at least 1.
    pub fn count(&self, name: &str) -> Result<Option<i32>> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match text.parse::<i32>() {
            Ok(count) if count >= 1 => Ok(Some(count)),
            _ => Err(self.wrong(
                name,
                format!("option \"{name}\" must be a whole number of at least 1, not `{text}`"),
            )),
        }
    }

    /// An error at the option `name`.
    pub fn wrong(&self, name: &str, message: String) -> SqlError {
        SqlError::invalid(message).with_place(self.entries.get(name).and_then(|(_, place)| place.clone()))
    }
}

/// Options may have dots (`csv.delimiter`) or be quoted.
fn option_name(cursor: &mut Cursor<'_>) -> Result<String> {
    if let Token::SingleQuotedString(name) = cursor.peek().token {
        cursor.advance();
        return Ok(name.to_lowercase());
    }
    let mut name = cursor.identifier("an option name")?;
    while cursor.take_token(&Token::Period) {
        name = format!("{name}.{}", cursor.identifier("the rest of the option name")?);
    }
    Ok(name.to_lowercase())
}
