//! Profiles: named settings for clusters, in a file of the user's config folder, and `millpond profile`.
//!
//! What is always true: the file belongs to people as much as to this command: it is TOML, and what cannot be understood is a warning, never a
//! reason to stop. A secret is written as where it lies (`{ file = "…" }` or `{ env = "…" }`), and read when it is used.
//! Where to look next: `settings.rs` for what wins over a profile.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::document::{Column, Document, Kind, OutputArgs, Shape, TableShape};
use super::failure::Failure;
use super::near::did_you_mean;
use super::settings::{ClusterArgs, Origin, Setting, Settings, canonical, warn};

/// Where the config folder is told to be, before the usual places.
const FOLDER_VARIABLE: &str = "MILLPOND_CONFIG_DIR";
/// The variable that chooses a profile.
const PROFILE_VARIABLE: &str = "MILLPOND_PROFILE";

/// Keep named settings for several clusters, and see which apply
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond profile set prod brokers=k1:9092,k2:9092 client.id=me     create or change a profile
  millpond profile use prod                                        from now on the default; `use -` goes back
  millpond profile show --origin                                   what applies, and where it comes from
  millpond topic list -C staging                                   another one for a single command

`millpond help profiles` describes the file.")]
pub(crate) struct ProfileArgs {
    #[command(subcommand)]
    command: ProfileCommand,
}

#[derive(Debug, Subcommand)]
enum ProfileCommand {
    /// List the profiles; the current one is marked
    List {
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Show the settings that apply here and now
    #[command(after_long_help = "Examples:
  millpond profile show --origin
  millpond profile show -C prod --format json")]
    Show {
        #[command(flatten)]
        cluster: ClusterArgs,
        #[command(flatten)]
        output: OutputArgs,
        /// Also show where each value comes from, and the defaults
        #[arg(long)]
        origin: bool,
    },
    /// Set values of a profile; an empty value removes one
    Set {
        /// The profile; it is created if there is none
        name: String,
        /// What to set
        #[arg(required = true, value_name = "KEY=VALUE")]
        settings: Vec<String>,
    },
    /// Make a profile the default; - is the one before
    Use {
        /// The profile
        name: String,
    },
    /// Remove a profile
    Delete {
        /// The profile
        name: String,
    },
}

static LIST: Shape = Shape {
    kind: "profile_list",
    tables: &[TableShape {
        name: "profiles",
        columns: &[
            Column("profile", Kind::Text, "name"),
            Column("current", Kind::Flag, "whether it applies without -C"),
            Column("brokers", Kind::Text, "bootstrap.servers"),
        ],
    }],
};

static SHOW: Shape = Shape {
    kind: "profile_show",
    tables: &[TableShape {
        name: "settings",
        columns: &[
            Column("setting", Kind::Text, "Kafka's name"),
            Column("value", Kind::Text, "what applies"),
            Column("origin", Kind::Text, "flag, variable, file, profile or default"),
        ],
    }],
};

impl ProfileArgs {
    /// How the answer is written, where the verb answers with a document.
    pub(super) fn output(&self) -> Option<(OutputArgs, &'static Shape)> {
        match &self.command {
            ProfileCommand::List { output } => Some((*output, &LIST)),
            ProfileCommand::Show { output, .. } => Some((*output, &SHOW)),
            _ => None,
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: ProfileArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let path = file();
    match args.command {
        ProfileCommand::List { output } => {
            let table = read(&path)?;
            let current = current(&table);
            let mut document = Document::new(&LIST);
            for (name, settings) in profiles(&table) {
                let brokers = ["bootstrap.servers", "brokers"]
                    .into_iter()
                    .find_map(|key| settings.get(key).and_then(toml::Value::as_str));
                document.push(vec![json!(name), json!(Some(name) == current), json!(brokers)]);
            }
            document.write(&output, false, out)
        }
        ProfileCommand::Show {
            cluster,
            output,
            origin,
        } => {
            let settings = Settings::resolve(&cluster)?;
            let mut document = Document::new(&SHOW);
            for (name, setting) in settings.all() {
                if !origin && setting.origin == Origin::Default {
                    continue;
                }
                let from = if origin {
                    json!(setting.origin.to_string())
                } else {
                    Value::Null
                };
                let hidden = ["password", "secret", "sasl.jaas.config"]
                    .iter()
                    .any(|word| name.contains(word));
                let value = if hidden { "(hidden)" } else { &setting.value };
                document.push(vec![json!(name), json!(value), from]);
            }
            document.write(&output, false, out)
        }
        ProfileCommand::Set { name, settings } => change(&path, |table| {
            let profile = table
                .entry("profiles")
                .or_insert_with(|| toml::Value::Table(toml::Table::new()))
                .as_table_mut()
                .context("profiles is no table")?
                .entry(&name)
                .or_insert_with(|| toml::Value::Table(toml::Table::new()))
                .as_table_mut()
                .with_context(|| format!("profile {name} is no table"))?;
            for setting in &settings {
                let (key, value) = setting.split_once('=').ok_or_else(|| {
                    Failure::usage(format!("{setting}: not of the form KEY=VALUE"))
                        .hint("for example brokers=k1:9092")
                })?;
                if value.is_empty() {
                    profile.remove(key);
                } else {
                    profile.insert(key.to_owned(), toml::Value::from(value));
                }
            }
            Ok(())
        }),
        ProfileCommand::Use { name } => change(&path, |table| {
            let name = if name == "-" {
                table
                    .get("previous")
                    .and_then(toml::Value::as_str)
                    .ok_or_else(|| Failure::failed("no profile was used before"))?
                    .to_owned()
            } else {
                name
            };
            known(table, &name)?;
            let before = table.insert("current".to_owned(), toml::Value::from(name));
            if let Some(before) = before {
                table.insert("previous".to_owned(), before);
            }
            Ok(())
        }),
        ProfileCommand::Delete { name } => change(&path, |table| {
            known(table, &name)?;
            if let Some(profiles) = table.get_mut("profiles").and_then(toml::Value::as_table_mut) {
                profiles.remove(&name);
            }
            for role in ["current", "previous"] {
                if table.get(role).and_then(toml::Value::as_str) == Some(&name) {
                    table.remove(role);
                }
            }
            Ok(())
        }),
    }
}

/// The settings of the profile that applies: the named one, that of the variable, or the current one.
pub(super) fn chosen(named: Option<&str>) -> anyhow::Result<Vec<(String, Setting)>> {
    let path = file();
    let table = read(&path)?;
    let variable = std::env::var(PROFILE_VARIABLE).ok();
    let asked = named.or(variable.as_deref());
    let Some(name) = asked.or_else(|| current(&table)) else {
        return Ok(Vec::new());
    };
    if asked.is_some() {
        known(&table, name)?;
    }
    let profiles = profiles(&table);
    let Some(profile) = profiles.get(name) else {
        warn(&format!(
            "{}: the current profile {name} does not exist",
            path.display()
        ));
        return Ok(Vec::new());
    };
    let mut settings = Vec::new();
    for (key, value) in *profile {
        let value = secret(value).with_context(|| format!("profile {name}, {key}"))?;
        let origin = Origin::Profile {
            name: name.to_owned(),
            file: path.clone(),
        };
        settings.push((canonical(key).to_owned(), Setting { value, origin }));
    }
    Ok(settings)
}

/// A value, or what the file or variable holds that it refers to.
fn secret(value: &toml::Value) -> anyhow::Result<String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Table(reference) => {
            let text = |key: &str| reference.get(key).and_then(toml::Value::as_str);
            match (text("file"), text("env")) {
                (Some(file), None) => std::fs::read_to_string(file)
                    .map(|text| text.trim_end().to_owned())
                    .with_context(|| format!("cannot read {file}")),
                (None, Some(variable)) => {
                    std::env::var(variable).with_context(|| format!("variable {variable} is not set"))
                }
                _ => anyhow::bail!("a reference is {{ file = \"…\" }} or {{ env = \"…\" }}"),
            }
        }
        other => Ok(other.to_string()),
    }
}

fn current(table: &toml::Table) -> Option<&str> {
    table.get("current").and_then(toml::Value::as_str)
}

fn profiles(table: &toml::Table) -> BTreeMap<&str, &toml::Table> {
    table
        .get("profiles")
        .and_then(toml::Value::as_table)
        .into_iter()
        .flatten()
        .filter_map(|(name, profile)| Some((name.as_str(), profile.as_table()?)))
        .collect()
}

fn known(table: &toml::Table, name: &str) -> Result<(), Failure> {
    let profiles = profiles(table);
    if profiles.contains_key(name) {
        return Ok(());
    }
    Err(
        Failure::usage(format!("no profile {name} in {}", file().display())).hint(did_you_mean(
            name,
            profiles.keys().copied(),
            "profile list",
        )),
    )
}

/// `profiles.toml` in the user's config folder.
fn file() -> PathBuf {
    let folder = std::env::var_os(FOLDER_VARIABLE).map(PathBuf::from).or_else(|| {
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config"));
        let base = std::env::var_os("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(home)?;
        Some(base.join("millpond"))
    });
    folder.unwrap_or_else(|| PathBuf::from(".")).join("profiles.toml")
}

fn read(path: &Path) -> anyhow::Result<toml::Table> {
    match std::fs::read_to_string(path) {
        Ok(text) => text
            .parse()
            .with_context(|| format!("{} is no TOML", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(toml::Table::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn change(path: &Path, edit: impl FnOnce(&mut toml::Table) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut table = read(path)?;
    edit(&mut table)?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let text = toml::to_string_pretty(&table).context("cannot write the profiles as TOML")?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
