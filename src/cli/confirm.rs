//! Before something is destroyed: say what, and ask.
//!
//! What is always true: without a terminal nothing is asked and nothing is done unless `-y` is there; `--dry-run` shows the same
//! and does nothing. The plan goes to stdout for `--dry-run`, where it is the answer, else to stderr.

use std::io::{BufRead, IsTerminal, Write};

use clap::Args;

use super::document::{Document, DocumentFormat, OutputArgs};
use super::failure::Failure;

/// Flags of verbs that destroy something.
#[derive(Clone, Copy, Debug, Args)]
#[group(skip)]
pub(crate) struct ConfirmArgs {
    /// Do not ask
    #[arg(short = 'y', long = "yes", visible_alias = "no-confirm")]
    pub(crate) yes: bool,

    /// Only show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

impl ConfirmArgs {
    /// Shows `plan` and asks; `false` means that nothing is to be done.
    pub(crate) fn confirm(
        self,
        what: &str,
        plan: &Document,
        output: &OutputArgs,
        out: &mut dyn Write,
    ) -> anyhow::Result<bool> {
        if self.dry_run {
            plan.write(output, false, out)?;
            return Ok(false);
        }
        if self.yes {
            return Ok(true);
        }
        let mut stderr = std::io::stderr();
        let text = OutputArgs {
            format: DocumentFormat::Text,
            ..*output
        };
        // Who reads JSON gets one object, and --dry-run for the plan.
        if output.format == DocumentFormat::Text {
            plan.write(&text, false, &mut stderr)?;
        }
        if !std::io::stdin().is_terminal() || !stderr.is_terminal() {
            return Err(
                Failure::usage(format!("{what}: not done, because nobody can be asked"))
                    .hint("-y does it without asking, --dry-run only shows it")
                    .into(),
            );
        }
        write!(stderr, "{what}? [y/N] ")?;
        stderr.flush()?;
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            return Err(Failure::failed("not confirmed, nothing was done").into());
        }
        Ok(true)
    }
}
