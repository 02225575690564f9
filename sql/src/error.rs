//! The one public error of the crate: what is wrong, where in the statement, and what to do about it.
//!
//! Always true: `message` is one sentence in lower case without a full stop; `place` is 1-based and, when present, lies in
//! the text the caller passed; `detail` lists facts, `hint` says how to mend it. Errors of the log and of the streams runtime are kept as
//! the source. Near names come from `suggest.rs`.

use std::fmt;

/// What the caller can do about a [`SqlError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SqlErrorKind {
    /// The text is not SQL as we know it: mend the statement.
    Syntax,
    /// A name in the statement does not exist, or exists already.
    Name,
    /// The statement is understood but asks for something we do not do.
    Unsupported,
    /// The statement is well formed but wrong: types, options, values.
    Invalid,
    /// The log, the streams runtime or the disk failed; the statement may be fine.
    Runtime,
}

/// A place in the statement text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
    /// How many characters are meant, at least 1.
    pub width: usize,
    /// The text of that line.
    pub text: String,
}

/// Why a statement failed.
#[derive(Debug)]
pub struct SqlError {
    /// What kind of failure it is.
    pub kind: SqlErrorKind,
    /// What is wrong.
    pub message: String,
    /// Where, if it can be told.
    pub place: Option<Box<Place>>,
    /// Facts behind the message, one a line, for errors that have several.
    pub detail: Option<String>,
    /// How to mend it, if that is known.
    pub hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Results of this crate.
pub type Result<T, E = SqlError> = std::result::Result<T, E>;

impl SqlError {
    /// An error without place and hint.
    pub fn new(kind: SqlErrorKind, message: impl Into<String>) -> SqlError {
        SqlError {
            kind,
            message: message.into(),
            place: None,
            detail: None,
            hint: None,
            source: None,
        }
    }

    /// The text is not SQL as we know it.
    pub fn syntax(message: impl Into<String>) -> SqlError {
        SqlError::new(SqlErrorKind::Syntax, message)
    }

    /// A name is unknown or taken.
    pub fn name(message: impl Into<String>) -> SqlError {
        SqlError::new(SqlErrorKind::Name, message)
    }

    /// Understood, but not supported.
    pub fn unsupported(message: impl Into<String>) -> SqlError {
        SqlError::new(SqlErrorKind::Unsupported, message)
    }

    /// Well formed, but wrong.
    pub fn invalid(message: impl Into<String>) -> SqlError {
        SqlError::new(SqlErrorKind::Invalid, message)
    }

    /// Something below SQL failed while `doing`; the cause is kept as the source.
    pub fn runtime(
        doing: impl fmt::Display,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> SqlError {
        let cause = cause.into();
        let mut error = SqlError::new(SqlErrorKind::Runtime, format!("{doing}: {cause}"));
        error.source = Some(cause);
        error
    }

    /// The same error for another reader, without its source: a source cannot be copied, and the message holds its text.
    #[must_use]
    pub fn retold(&self) -> SqlError {
        SqlError {
            kind: self.kind,
            message: self.message.clone(),
            place: self.place.clone(),
            detail: self.detail.clone(),
            hint: self.hint.clone(),
            source: None,
        }
    }

    /// The same error with the facts behind it, one a line.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> SqlError {
        self.detail = Some(detail.into());
        self
    }

    /// The same error with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> SqlError {
        self.hint = Some(hint.into());
        self
    }

    /// The same error at `place`, unless it has a place already: the innermost knows best.
    #[must_use]
    pub fn with_place(mut self, place: Option<Place>) -> SqlError {
        if self.place.is_none() {
            self.place = place.map(Box::new);
        }
        self
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(place) = &self.place {
            write!(f, "\n  at line {}, column {}:", place.line, place.column)?;
            // A tab counts as one column, so the caret line repeats it and the two lines stay aligned.
            let indent: String = place
                .text
                .chars()
                .take(place.column.saturating_sub(1) as usize)
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            write!(
                f,
                "\n    {}\n    {indent}{}",
                place.text,
                "^".repeat(place.width.max(1))
            )?;
        }
        for line in self.detail.iter().flat_map(|detail| detail.lines()) {
            write!(f, "\n  detail: {line}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SqlError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_deref()
            .map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}
