//! Where the settings of a node come from: the file, then variables, then flags; each overrides the one before.
//!
//! What is always true: an unknown key is an error that names the nearest known one and the place it stood; nothing is silently ignored.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use anyhow::Context;
use millpond::log::config::{BROKER_DEFINITIONS, BrokerConfig, nearest};
use millpond::log::server::ServerOptions;

use super::StartArgs;
use crate::cli::failure::Failure;

const DEFAULT_DATA: &str = "./millpond-data";
const DEFAULT_KAFKA: &str = "127.0.0.1:9092";

/// Variables that are flags of this command or of the client commands, or switches of tests: no settings of the broker.
const FLAG_VARIABLES: &[&str] = &[
    "MILLPOND_ADVERTISED",
    "MILLPOND_BROKERS",
    "MILLPOND_CLIENT_ID",
    "MILLPOND_CONFIG",
    "MILLPOND_CONFIG_DIR",
    "MILLPOND_DATA",
    "MILLPOND_FORMAT",
    "MILLPOND_HTTP",
    "MILLPOND_KAFKA",
    "MILLPOND_KILL_POINT",
    "MILLPOND_LOG",
    "MILLPOND_PROFILE",
    "MILLPOND_SABOTAGE",
];

/// Everything a node is started with.
#[derive(Clone, Debug)]
pub(super) struct NodeSettings {
    pub(super) data: PathBuf,
    pub(super) broker: BrokerConfig,
    pub(super) server: ServerOptions,
    pub(super) http: Option<SocketAddr>,
}

/// What the file says about the command's own flags.
#[derive(Debug, Default)]
struct FromFile {
    data: Option<String>,
    kafka: Option<String>,
    advertised: Option<String>,
    http: Option<String>,
}

/// Puts file, variables and flags together.
pub(super) fn resolve(args: &StartArgs) -> anyhow::Result<NodeSettings> {
    let mut broker = BrokerConfig::default();
    let file = match &args.config {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the settings file {}", path.display()))?;
            read_file(&text, &path.display().to_string(), &mut broker)?
        }
        None => FromFile::default(),
    };
    let variables = std::env::vars().filter(|(name, _)| name.starts_with("MILLPOND_"));
    read_variables(variables, &mut broker)?;
    for setting in &args.settings {
        let (key, value) = setting.split_once('=').ok_or_else(|| {
            Failure::usage(format!("-X {setting}: not of the form KEY=VALUE"))
                .hint("for example -X log.segment.bytes=1048576")
        })?;
        set(&mut broker, key.trim(), value.trim(), &format!("-X {setting}"))?;
    }
    let kafka = args
        .kafka
        .clone()
        .or(file.kafka)
        .unwrap_or_else(|| DEFAULT_KAFKA.to_owned());
    let advertised = match args.advertised.clone().or(file.advertised) {
        Some(advertised) => Some(host_and_port(&advertised)?),
        None => None,
    };
    let data = args
        .data
        .clone()
        .or(file.data.map(PathBuf::from))
        .unwrap_or_else(|| DEFAULT_DATA.into());
    let http = match args.http.clone().or(file.http) {
        Some(http) => Some(address(&http)?),
        None => None,
    };
    Ok(NodeSettings {
        data,
        http,
        broker,
        server: super::server_options(address(&kafka)?, advertised),
    })
}

fn set(broker: &mut BrokerConfig, key: &str, value: &str, place: &str) -> anyhow::Result<()> {
    broker
        .set(key, value)
        .map_err(|error| Failure::usage(format!("{place}: {error}")).into())
}

/// Reads a TOML file; tables and dotted keys both spell Kafka's dotted names.
fn read_file(text: &str, place: &str, broker: &mut BrokerConfig) -> anyhow::Result<FromFile> {
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| Failure::usage(format!("{place}: {error}")))?;
    let mut settings = Vec::new();
    flatten("", &table, &mut settings);
    let mut own = FromFile::default();
    for (key, value) in settings {
        match key.as_str() {
            "data" => own.data = Some(value),
            "kafka" | "listeners" => own.kafka = Some(value),
            "http" => own.http = Some(value),
            "advertised" | "advertised.listeners" => own.advertised = Some(value),
            _ => set(broker, &key, &value, place)?,
        }
    }
    Ok(own)
}

fn flatten(prefix: &str, table: &toml::Table, settings: &mut Vec<(String, String)>) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        match value {
            toml::Value::Table(inner) => flatten(&key, inner, settings),
            toml::Value::String(text) => settings.push((key, text.clone())),
            other => settings.push((key, other.to_string())),
        }
    }
}

/// `MILLPOND_LOG_RETENTION_MS` is `log.retention.ms`.
fn read_variables(
    variables: impl Iterator<Item = (String, String)>,
    broker: &mut BrokerConfig,
) -> anyhow::Result<()> {
    for (name, value) in variables {
        if FLAG_VARIABLES.contains(&name.as_str()) {
            continue;
        }
        let key = name
            .trim_start_matches("MILLPOND_")
            .to_ascii_lowercase()
            .replace('_', ".");
        let is_known = broker.get(&key).is_some();
        let names = BROKER_DEFINITIONS.iter().map(|definition| definition.name);
        if !is_known && nearest(&key, names).is_none() {
            // A client's setting, perhaps: they live in such variables too.
            tracing::warn!(variable = name, "no setting of a node is named {key}; ignored");
            continue;
        }
        set(broker, &key, &value, &format!("variable {name}"))?;
    }
    Ok(())
}

/// Kafka's `PLAINTEXT://` in front is understood, since people paste it.
fn without_scheme(text: &str) -> &str {
    text.trim().trim_start_matches("PLAINTEXT://")
}

fn address(text: &str) -> anyhow::Result<SocketAddr> {
    let wrong = |cause: String| {
        Failure::usage(format!("cannot listen on {text:?}: {cause}"))
            .hint("an address is HOST:PORT, for example 127.0.0.1:9092 or 0.0.0.0:9092")
    };
    let mut found = without_scheme(text)
        .to_socket_addrs()
        .map_err(|error| wrong(error.to_string()))?
        .collect::<Vec<_>>();
    // `localhost` means IPv4 first: many clients try only one of the two.
    found.sort_by_key(|address| !address.is_ipv4());
    found
        .into_iter()
        .next()
        .ok_or_else(|| wrong("no such host".to_owned()).into())
}

fn host_and_port(text: &str) -> anyhow::Result<(String, u16)> {
    let split = without_scheme(text).rsplit_once(':');
    split
        .and_then(|(host, port)| Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?)))
        .filter(|(host, _): &(String, u16)| !host.is_empty())
        .ok_or_else(|| {
            Failure::usage(format!("cannot advertise {text:?}: expected HOST:PORT"))
                .hint("for example --advertised broker-1.example.com:9092")
                .into()
        })
}

#[cfg(test)]
#[path = "settings_test.rs"]
mod settings_test;
