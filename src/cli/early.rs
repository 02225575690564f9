//! Questions about the command line itself: `--format help` and `-X list` are answered although the rest of it is missing.

use std::io::Write;

use super::document::Shape;
use super::{cluster, config, consume, group, perf, produce, settings, streams, topic, txn};

/// A question.
pub(super) enum Question {
    /// What the settings are.
    Settings,
    /// What a verb prints.
    Shape(&'static Shape),
}

impl Question {
    /// Finds a question in a command line that clap refused because something is missing.
    pub(super) fn find(refused: &clap::Error, words: &[String]) -> Option<Question> {
        if refused.kind() != clap::error::ErrorKind::MissingRequiredArgument {
            return None;
        }
        let has = |flag: &str, value: &str| {
            let joined = [format!("{flag}={value}"), format!("{flag}{value}")];
            words.iter().any(|word| joined.contains(word))
                || words.windows(2).any(|pair| pair[0] == flag && pair[1] == value)
        };
        if has("-X", "list") {
            return Some(Question::Settings);
        }
        if !has("--format", "help") {
            return None;
        }
        let mut plain = words
            .iter()
            .map(String::as_str)
            .filter(|word| !word.starts_with('-'));
        let shapes = match plain.next()? {
            "topic" => topic::shapes(),
            "group" => group::shapes(),
            "config" => config::shapes(),
            "cluster" => cluster::shapes(),
            "txn" => txn::shapes(),
            "streams" => streams::shapes(),
            "perf" => perf::shapes(),
            "produce" => return Some(Question::Shape(&produce::SHAPE)),
            "consume" => return Some(Question::Shape(&consume::SHAPE)),
            _ => return None,
        };
        let verb = plain.next()?;
        shapes
            .into_iter()
            .find(|(name, _)| *name == verb)
            .map(|(_, shape)| Question::Shape(shape))
    }

    /// Answers it.
    pub(super) fn answer(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        match self {
            Question::Settings => settings::write_list(out),
            Question::Shape(shape) => shape.write_help(out).map_err(Into::into),
        }
    }
}
