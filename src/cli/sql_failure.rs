//! Errors of SQL as failures of a command: what and where under `error:`, how to mend it under `hint:`.

use millpond::sql::{SqlError, SqlErrorKind};
use serde_json::Value;

use super::failure::Failure;

/// Message, place and detail stay, the hint moves to where the command line puts hints. Programs get each in a field.
pub(crate) fn sql_failure(mut error: SqlError) -> anyhow::Error {
    let hint = error.hint.take();
    let place = error.place.as_deref();
    let failure = Failure::failed(error.to_string()).facts([
        ("kind", Value::from(kind(error.kind))),
        ("message", Value::from(error.message.as_str())),
        ("line", Value::from(place.map(|place| place.line))),
        ("column", Value::from(place.map(|place| place.column))),
        ("detail", Value::from(error.detail.as_deref())),
    ]);
    match hint {
        Some(hint) => failure.hint(hint).into(),
        None => failure.into(),
    }
}

/// What programs call a kind of error; once published, a name stays.
fn kind(kind: SqlErrorKind) -> &'static str {
    match kind {
        SqlErrorKind::Syntax => "syntax",
        SqlErrorKind::Name => "name",
        SqlErrorKind::Unsupported => "unsupported",
        SqlErrorKind::Invalid => "invalid",
        SqlErrorKind::Runtime => "runtime",
        _ => "failed",
    }
}

#[cfg(test)]
mod tests {
    use std::process::ExitCode;

    use super::*;
    use crate::cli::failure::{ErrorStyle, exit_code};

    #[test]
    fn a_hint_of_sql_is_the_hint_of_the_command() {
        let mut stderr = Vec::new();
        let error = SqlError::name("unknown column \"orign\"").with_hint("did you mean \"origin\"?");
        let code = exit_code(Err(sql_failure(error)), ErrorStyle::Text, &mut stderr);
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(1)));
        assert_eq!(
            String::from_utf8(stderr).expect("UTF-8"),
            "error: unknown column \"orign\"\nhint: did you mean \"origin\"?\n"
        );
    }
}
