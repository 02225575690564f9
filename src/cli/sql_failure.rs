//! Errors of SQL as failures of a command: what and where under `error:`, how to mend it under `hint:`.

use millpond::sql::SqlError;

use super::failure::Failure;

/// Message and place stay, the hint moves to where the command line puts hints.
pub(crate) fn sql_failure(mut error: SqlError) -> anyhow::Error {
    let hint = error.hint.take();
    let failure = Failure::failed(error.to_string());
    match hint {
        Some(hint) => failure.hint(hint).into(),
        None => failure.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::process::ExitCode;

    use super::*;
    use crate::cli::failure::exit_code;

    #[test]
    fn a_hint_of_sql_is_the_hint_of_the_command() {
        let mut stderr = Vec::new();
        let error = SqlError::name("unknown column \"orign\"").with_hint("did you mean \"origin\"?");
        let code = exit_code(Err(sql_failure(error)), &mut stderr);
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(1)));
        assert_eq!(
            String::from_utf8(stderr).expect("UTF-8"),
            "error: unknown column \"orign\"\nhint: did you mean \"origin\"?\n"
        );
    }
}
