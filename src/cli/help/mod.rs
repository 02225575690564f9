//! `millpond help`, `cheat`, `completions` and `man`: what the command line knows about itself.
//!
//! What is always true: `help` takes a command or one of the topics below; the texts stand in files of their own, as they are printed.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use clap_complete::Shell;

use super::failure::Failure;
use super::near::near_miss;

/// Texts that belong to no single command.
const TOPICS: [(&str, &str); 3] = [
    ("offsets", include_str!("offsets.txt")),
    ("templates", include_str!("templates.txt")),
    ("profiles", include_str!("profiles.txt")),
];
const CHEAT: &str = include_str!("cheat.txt");

/// Explain a command, or offsets, templates, profiles
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond help topic create
  millpond help offsets")]
pub(crate) struct HelpArgs {
    /// A command, or one of offsets, templates, profiles
    words: Vec<String>,
}

/// Print recipes
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond cheat
  millpond cheat lag")]
pub(crate) struct CheatArgs {
    /// Only recipes with this word
    word: Option<String>,
}

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond completions bash > ~/.local/share/bash-completion/completions/millpond
  millpond completions zsh > ~/.zfunc/_millpond
  millpond completions fish > ~/.config/fish/completions/millpond.fish")]
pub(crate) struct CompletionsArgs {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_enum)]
    shell: Shell,
}

/// Write man pages, one a command, into a folder
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond man ~/.local/share/man/man1 && man millpond-topic-create")]
pub(crate) struct ManArgs {
    /// The folder; made if missing
    dir: PathBuf,
}

/// Runs `help`.
pub(crate) fn run(args: HelpArgs, mut command: clap::Command, out: &mut dyn Write) -> anyhow::Result<()> {
    command.build();
    if let [word] = args.words.as_slice()
        && let Some((_, text)) = TOPICS.iter().find(|(name, _)| name == word)
    {
        return out.write_all(text.as_bytes()).map_err(Into::into);
    }
    let mut found = &mut command;
    for word in &args.words {
        let names: Vec<String> = found
            .get_subcommands()
            .map(|command| command.get_name().to_owned())
            .chain(TOPICS.iter().map(|(name, _)| (*name).to_owned()))
            .collect();
        found = found.find_subcommand_mut(word).ok_or_else(|| {
            let failure = Failure::usage(format!("no command {word}"));
            match near_miss(word, names.iter().map(String::as_str)) {
                Some(near) => failure.hint(format!("did you mean {near}?")),
                None => failure
                    .hint("`millpond help` lists the commands; offsets, templates and profiles are topics"),
            }
        })?;
    }
    let text = found.render_long_help();
    write!(out, "{text}")?;
    if args.words.is_empty() {
        writeln!(out, "\nTopics: millpond help offsets | templates | profiles")?;
    }
    Ok(())
}

/// Runs `cheat`.
pub(crate) fn cheat(args: CheatArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let Some(word) = args.word else {
        return out.write_all(CHEAT.as_bytes()).map_err(Into::into);
    };
    let word = word.to_lowercase();
    let recipes: Vec<&str> = CHEAT
        .split("\n\n")
        .filter(|recipe| recipe.to_lowercase().contains(&word))
        .collect();
    if recipes.is_empty() {
        return Err(Failure::failed(format!("no recipe with \"{word}\""))
            .hint("`millpond cheat` prints all")
            .into());
    }
    writeln!(out, "{}", recipes.join("\n\n").trim_end())?;
    Ok(())
}

/// Runs `man`.
pub(crate) fn man(args: ManArgs, command: clap::Command) -> anyhow::Result<()> {
    let dir = &args.dir;
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(command, dir))
        .with_context(|| format!("cannot write man pages into {}", dir.display()))
}

/// Runs `completions`.
pub(crate) fn completions(
    args: CompletionsArgs,
    mut command: clap::Command,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    // Gathered first: the generator ends the process by a panic if its writer fails, and a reader may go away.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "millpond", &mut script);
    out.write_all(&script).map_err(Into::into)
}
