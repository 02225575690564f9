//! Failures of single items: the others go on, and at the end the command fails with what failed.

use super::failure::Failure;

/// Gathers failures while a command works through its items.
#[derive(Debug, Default)]
pub(crate) struct Failed {
    all: Vec<Failure>,
}

impl Failed {
    /// Remembers a failure.
    pub(crate) fn push(&mut self, failure: Failure) {
        self.all.push(failure);
    }

    /// Success if there was none; the failure if there was one; else all in one, with the hint of the first.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        match self.all.len() {
            0 => Ok(()),
            1 => Err(self.all.remove(0).into()),
            count => {
                let texts: Vec<String> = self.all.iter().map(ToString::to_string).collect();
                Err(self
                    .all
                    .remove(0)
                    .message(format!("{count} items failed: {}", texts.join("; ")))
                    .into())
            }
        }
    }
}
