//! How a command fails: exit code, `error:` line and `hint:` line, or one JSON object for commands that write JSON.
//!
//! What is always true: 0 success (also when the reader of stdout went away), 1 failure, 2 wrong usage (clap uses the
//! same), 3 cannot connect. The first [`Failure`] in the chain of causes decides; an error without one is a plain 1.
//! Where to look next: `hint_for` names what to do about errors of the library.

use std::fmt;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use serde_json::{Map, Value};

/// Why the process ends, in the words of the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command was understood and did not succeed, or one of its items did not.
    Failed = 1,
    /// The command line, or a statement in it, is wrong.
    Usage = 2,
    /// No broker could be reached, or none lets us in.
    Connect = 3,
    /// Ctrl-C.
    Interrupted = 130,
}

/// An error whose exit code and hint are known where it arises.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
    facts: Map<String, Value>,
}

/// How the error of a command is written to stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorStyle {
    /// Lines for people.
    Text,
    /// `{"error": {…}}` on one line, for programs that read the output as JSON. Unknown facts are `null`, never absent.
    Json,
    /// The same with the place in a statement, for programs that read the rows of `sql` as JSON.
    #[cfg(feature = "sql")]
    SqlJson,
}

impl Failure {
    /// A failure with exit code 1.
    pub(crate) fn failed(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Failed, message)
    }

    /// Wrong usage: exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, message)
    }

    /// Cannot connect or log in: exit code 3. Trying again later may help.
    pub(crate) fn connect(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Connect, message).facts([("retriable", Value::from(true))])
    }

    /// Ctrl-C: exit code 130, and nothing is said.
    pub(crate) fn interrupted() -> Failure {
        Failure::new(Exit::Interrupted, "interrupted")
    }

    fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure {
            exit,
            message: message.into(),
            hint: None,
            facts: Map::new(),
        }
    }

    /// Adds what the user can do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// Says it in other words; hint and facts stay.
    pub(crate) fn message(mut self, message: impl Into<String>) -> Failure {
        self.message = message.into();
        self
    }

    /// Whether an error says that a broker cannot be reached.
    pub(crate) fn is_connect(error: &anyhow::Error) -> bool {
        let failure = error.chain().find_map(|cause| cause.downcast_ref::<Failure>());
        failure.is_some_and(|failure| failure.exit == Exit::Connect)
    }

    /// Message and hint in one line, for a warning.
    pub(crate) fn with_hint(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{} ({hint})", self.message),
            None => self.message.clone(),
        }
    }

    /// Adds what a program should get in a field of its own; a `message` here stands for the one for people.
    pub(crate) fn facts(mut self, facts: impl IntoIterator<Item = (&'static str, Value)>) -> Failure {
        self.facts
            .extend(facts.into_iter().map(|(name, value)| (name.to_owned(), value)));
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Reports `outcome` on `stderr` and turns it into the exit code of the process.
pub(crate) fn exit_code(outcome: anyhow::Result<()>, style: ErrorStyle, stderr: &mut dyn Write) -> ExitCode {
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    if is_broken_pipe(&error) {
        return ExitCode::SUCCESS;
    }
    let failure = error.chain().find_map(|cause| cause.downcast_ref::<Failure>());
    let exit = failure.map_or(Exit::Failed, |failure| failure.exit);
    // Nobody is left to tell when stderr is gone too; the exit code still says it.
    let _unreported = match style {
        // Who pressed the keys knows it.
        _ if exit == Exit::Interrupted => Ok(()),
        ErrorStyle::Text => report(
            &error,
            failure.and_then(|failure| failure.hint.as_deref()),
            stderr,
        ),
        ErrorStyle::Json => writeln!(stderr, "{}", json(&error, failure, &["code", "retriable"])),
        #[cfg(feature = "sql")]
        ErrorStyle::SqlJson => writeln!(stderr, "{}", json(&error, failure, &["line", "column", "detail"])),
    };
    ExitCode::from(exit as u8)
}

fn report(error: &anyhow::Error, hint: Option<&str>, stderr: &mut dyn Write) -> std::io::Result<()> {
    writeln!(stderr, "error: {}", sentence(error))?;
    match hint {
        Some(hint) => writeln!(stderr, "hint: {hint}"),
        None => Ok(()),
    }
}

/// The error as a program reads it: kind, message and hint, and `more` fields that are null unless the failure knows them.
fn json(error: &anyhow::Error, failure: Option<&Failure>, more: &[&str]) -> Value {
    let kind = match failure.map(|failure| failure.exit) {
        Some(Exit::Usage) => "usage",
        Some(Exit::Connect) => "connect",
        Some(Exit::Interrupted) => "interrupted",
        Some(Exit::Failed) | None => "failed",
    };
    let mut facts = Map::from_iter([
        ("kind".to_owned(), Value::from(kind)),
        ("message".to_owned(), Value::from(sentence(error))),
        (
            "hint".to_owned(),
            Value::from(failure.and_then(|failure| failure.hint.clone())),
        ),
    ]);
    facts.extend(more.iter().map(|name| ((*name).to_owned(), Value::Null)));
    facts.extend(failure.into_iter().flat_map(|failure| failure.facts.clone()));
    Value::from(Map::from_iter([("error".to_owned(), Value::from(facts))]))
}

/// The chain of causes as one sentence. Some errors repeat their cause in their own text; it is said once.
fn sentence(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if said.is_empty() {
            said = cause;
        } else if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|io| io.kind() == ErrorKind::BrokenPipe)
}

#[cfg(test)]
#[path = "failure_test.rs"]
mod failure_test;
