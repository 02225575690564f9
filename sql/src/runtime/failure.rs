//! Why a view has no job that runs, in words for whoever asks for the view.

use crate::error::{SqlError, SqlErrorKind};

/// The reason a view is failed. The first one counts: what follows from it is not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong.
    pub reason: String,
    /// How to mend it, if it is known.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a remedy of its own.
    pub fn new(reason: impl Into<String>) -> Failure {
        Failure {
            reason: reason.into(),
            hint: None,
        }
    }

    /// The answer to a statement that needs `view`.
    pub fn error(&self, view: &str) -> SqlError {
        let hint = self.hint.clone().unwrap_or_else(|| {
            format!(
                "its rows are kept: once the cause is mended, a restart lets it go on where it stopped; \
                 DROP MATERIALIZED VIEW {view} removes it"
            )
        });
        SqlError::new(
            SqlErrorKind::Runtime,
            format!("view \"{view}\" is failed: {}", self.reason),
        )
        .with_hint(hint)
    }
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Failure {
        Failure {
            reason: error.message,
            hint: error.hint,
        }
    }
}
