//! A cursor over the tokens of one statement, with errors that point at the token.

use datafusion::sql::sqlparser::ast::{DataType, Expr};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::SourceText;
use super::source_text::DIALECT;
use crate::error::{Result, SqlError};

/// Walks the tokens of one statement; whitespace and comments are gone already.
pub(super) struct Cursor<'a> {
    source: &'a SourceText,
    tokens: &'a [TokenWithSpan],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(source: &'a SourceText, tokens: &'a [TokenWithSpan]) -> Cursor<'a> {
        Cursor {
            source,
            tokens,
            at: 0,
        }
    }

    pub(super) fn source(&self) -> &'a SourceText {
        self.source
    }

    /// The token at the cursor; the end of the statement is `EOF` at the place behind the last token.
    pub(super) fn peek(&self) -> TokenWithSpan {
        self.tokens.get(self.at).cloned().unwrap_or_else(|| self.end())
    }

    pub(super) fn rest(&self) -> &'a [TokenWithSpan] {
        &self.tokens[self.at.min(self.tokens.len())..]
    }

    pub(super) fn at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    /// Whether the next tokens are these words, in any case. Does not move.
    pub(super) fn looks_at(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(i, word)| {
            self.tokens.get(self.at + i).is_some_and(|t| match &t.token {
                Token::Word(w) => w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word),
                _ => false,
            })
        })
    }

    /// Moves over these words if they come next.
    pub(super) fn take(&mut self, words: &[&str]) -> bool {
        let found = self.looks_at(words);
        if found {
            self.at += words.len();
        }
        found
    }

    pub(super) fn take_token(&mut self, token: &Token) -> bool {
        let found = self.tokens.get(self.at).is_some_and(|t| t.token == *token);
        if found {
            self.at += 1;
        }
        found
    }

    pub(super) fn expect(&mut self, words: &[&str]) -> Result<()> {
        for word in words {
            if !self.take(&[word]) {
                return Err(self.expected(word));
            }
        }
        Ok(())
    }

    pub(super) fn expect_token(&mut self, token: &Token) -> Result<()> {
        if self.take_token(token) {
            Ok(())
        } else {
            Err(self.expected(&format!("`{token}`")))
        }
    }

    pub(super) fn expect_end(&self) -> Result<()> {
        if self.at_end() {
            Ok(())
        } else {
            Err(self.expected("the end of the statement"))
        }
    }

    /// An identifier: folded to lower case unless quoted.
    pub(super) fn identifier(&mut self, what: &str) -> Result<String> {
        match self.peek().token {
            Token::Word(word) => {
                self.advance();
                Ok(if word.quote_style.is_some() {
                    word.value
                } else {
                    word.value.to_lowercase()
                })
            }
            _ => Err(self.expected(what)),
        }
    }

    /// A data type, read by sqlparser.
    pub(super) fn data_type(&mut self) -> Result<DataType> {
        self.by_sqlparser(|parser| parser.parse_data_type())
    }

    /// An expression, read by sqlparser.
    pub(super) fn expression(&mut self) -> Result<Expr> {
        self.by_sqlparser(|parser| parser.parse_expr())
    }

    fn by_sqlparser<T>(
        &mut self,
        read: impl FnOnce(&mut Parser<'_>) -> Result<T, datafusion::sql::sqlparser::parser::ParserError>,
    ) -> Result<T> {
        if self.at_end() {
            return Err(self.expected("more"));
        }
        let mut parser = Parser::new(&DIALECT).with_tokens_with_locations(self.rest().to_vec());
        let value = read(&mut parser).map_err(|e| {
            let place = self.source.place_of(&parser.peek_token());
            self.source.parser_error(e).with_place(place)
        })?;
        // The parser's index counts the tokens it was given, and those held no whitespace.
        let left = {
            let mut left = 0;
            while parser.next_token().token != Token::EOF {
                left += 1;
            }
            left
        };
        self.at = self.tokens.len() - left;
        Ok(value)
    }

    /// "expected X, found Y" at the cursor.
    pub(super) fn expected(&self, what: &str) -> SqlError {
        let found = self.peek();
        let message = match &found.token {
            Token::EOF => format!("expected {what}, but the statement ends here"),
            other => format!("expected {what}, found `{other}`"),
        };
        SqlError::syntax(message).with_place(self.source.place_of(&found))
    }

    /// Points at the token before the cursor.
    pub(super) fn at_last(&self, error: SqlError) -> SqlError {
        match self.at.checked_sub(1).and_then(|i| self.tokens.get(i)) {
            Some(token) => error.with_place(self.source.place_of(token)),
            None => error,
        }
    }

    fn end(&self) -> TokenWithSpan {
        let mut end = TokenWithSpan::wrap(Token::EOF);
        if let Some(last) = self.tokens.last() {
            end.span.start = last.span.end;
            end.span.end = last.span.end;
        }
        end
    }
}
