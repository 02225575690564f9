//! The command line: a command, perhaps a job, then `--name value` pairs.

use std::collections::BTreeMap;
use std::error::Error;
use std::str::FromStr;

use crate::job::Job;

/// How everything here ends.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

pub(crate) struct Arguments {
    command: String,
    job: Option<Job>,
    options: BTreeMap<String, String>,
}

impl Arguments {
    /// `None` when there are no words at all.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Outcome<Option<Arguments>> {
        let mut words = words.peekable();
        let Some(command) = words.next() else {
            return Ok(None);
        };
        let job = match words.next_if(|word| !word.starts_with("--")) {
            Some(name) => Some(Job::named(&name).ok_or_else(|| format!("there is no job {name:?}"))?),
            None => None,
        };
        let mut options = BTreeMap::new();
        while let Some(word) = words.next() {
            let name = word
                .strip_prefix("--")
                .ok_or_else(|| format!("{word:?} is no option"))?;
            let value = words.next().ok_or_else(|| format!("--{name} needs a value"))?;
            options.insert(name.to_owned(), value);
        }
        Ok(Some(Arguments {
            command,
            job,
            options,
        }))
    }

    pub(crate) fn command(&self) -> &str {
        &self.command
    }

    pub(crate) fn job(&self) -> Outcome<Job> {
        self.job
            .ok_or_else(|| format!("`{}` needs a job", self.command).into())
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    pub(crate) fn needed<T: FromStr>(&self, name: &str) -> Outcome<T>
    where
        T::Err: Error + Send + Sync + 'static,
    {
        let text = self
            .text(name)
            .ok_or_else(|| format!("`{}` needs --{name}", self.command))?;
        Ok(text.parse()?)
    }
}
