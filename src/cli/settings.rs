//! Settings of the verbs for clusters: which brokers, which client id, how long to wait, and whatever librdkafka takes.
//!
//! What is always true: flag > `-X` > `MILLPOND_*` variable > properties file > profile > default, and every value remembers which of them it
//! came from ([`Origin`]), so that an error can name it. Names are Kafka's; `-X` refuses an unknown one, a profile warns.
//! Where to look next: `profile.rs` for the file with profiles.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use super::failure::Failure;
use super::near::near_miss;
use super::profile;

/// Flags of every verb that talks to a cluster.
#[derive(Clone, Debug, Args)]
#[group(skip)]
pub(crate) struct ClusterArgs {
    /// Brokers to ask first; default localhost:9092, or what the profile says
    #[arg(
        short = 'b',
        long = "brokers",
        value_name = "HOST:PORT,…",
        aliases = ["bootstrap-server", "bootstrap-servers", "broker-list"],
        short_alias = 'B',
        help_heading = "Cluster"
    )]
    pub(crate) brokers: Option<String>,

    /// Named settings to use; see `millpond help profiles`
    #[arg(short = 'C', long = "profile", value_name = "NAME", help_heading = "Cluster")]
    pub(crate) profile: Option<String>,

    /// Override a setting by its Kafka name; -X list shows them
    #[arg(short = 'X', value_name = "KEY=VALUE", help_heading = "Cluster")]
    pub(crate) overrides: Vec<String>,

    /// A properties file as Kafka's tools take it
    #[arg(
        long = "command-config",
        aliases = ["producer.config", "consumer.config", "producer-config", "consumer-config"],
        value_name = "FILE",
        hide = true
    )]
    pub(crate) properties: Option<PathBuf>,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag(&'static str),
    Override,
    Variable(String),
    File(PathBuf),
    Profile { name: String, file: PathBuf },
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(flag) => write!(f, "flag {flag}"),
            Origin::Override => f.write_str("flag -X"),
            Origin::Variable(name) => write!(f, "variable {name}"),
            Origin::File(path) => write!(f, "file {}", path.display()),
            Origin::Profile { name, file } => write!(f, "profile {name} in {}", file.display()),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) value: String,
    pub(crate) origin: Origin,
}

/// A setting that this command line gives a meaning of its own; others go to librdkafka as they are.
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) default: &'static str,
    pub(crate) about: &'static str,
}

pub(crate) const BROKERS: &str = "bootstrap.servers";
const CLIENT_ID: &str = "client.id";
const CONNECT_TIMEOUT: &str = "socket.connection.setup.timeout.ms";
const REQUEST_TIMEOUT: &str = "request.timeout.ms";
const SECURITY: &str = "security.protocol";

/// Settings of ours, with their defaults.
pub(crate) const KNOWN: [Known; 5] = [
    Known {
        name: BROKERS,
        default: "localhost:9092",
        about: "brokers to ask first; also -b and MILLPOND_BROKERS",
    },
    Known {
        name: CLIENT_ID,
        default: concat!("millpond-cli-", env!("CARGO_PKG_VERSION")),
        about: "how the brokers' logs and quotas name this client",
    },
    Known {
        name: CONNECT_TIMEOUT,
        default: "5000",
        about: "longest wait for a connection",
    },
    Known {
        name: REQUEST_TIMEOUT,
        default: "30000",
        about: "longest wait for an answer, with all retries",
    },
    Known {
        name: SECURITY,
        default: "plaintext",
        about: "plaintext only: this build has no TLS and no SASL",
    },
];

/// Names of librdkafka that people set; for suggestions and `-X list`, any other name it knows is taken too.
pub(crate) const PASSED_ON: [(&str, &str); 27] = [
    ("acks", "produce: replicas that must have a record: 0, 1, all"),
    ("batch.num.messages", "produce: records a batch"),
    ("batch.size", "produce: bytes a batch"),
    ("linger.ms", "produce: wait to fill a batch"),
    (
        "compression.type",
        "produce: none, gzip, snappy, lz4, zstd; also -z",
    ),
    ("compression.level", "produce: effort of the compression"),
    ("enable.idempotence", "produce: no duplicates by retries"),
    ("message.max.bytes", "produce: largest request"),
    ("message.timeout.ms", "produce: longest wait for a delivery"),
    (
        "max.in.flight.requests.per.connection",
        "produce: requests under way",
    ),
    (
        "partitioner",
        "produce: murmur2_random (default, as Java), consistent_random, random …",
    ),
    (
        "queue.buffering.max.messages",
        "produce: records waiting in memory",
    ),
    ("queue.buffering.max.kbytes", "produce: KiB waiting in memory"),
    ("retries", "produce: how often"),
    (
        "sticky.partitioning.linger.ms",
        "produce: stay on a partition for records without key",
    ),
    ("transaction.timeout.ms", "produce: longest transaction"),
    ("transactional.id", "produce --txn: name of the producer"),
    ("auto.offset.reset", "consume -g: where a new group begins"),
    ("enable.auto.commit", "consume -g: commit in the background"),
    ("fetch.max.bytes", "consume: bytes an answer"),
    ("fetch.min.bytes", "consume: wait for so many bytes"),
    ("fetch.wait.max.ms", "consume: or so long"),
    ("group.instance.id", "consume -g: static membership"),
    ("group.protocol", "consume -g: classic or consumer"),
    ("isolation.level", "consume: read_committed or read_uncommitted"),
    (
        "partition.assignment.strategy",
        "consume -g: range, roundrobin, cooperative-sticky",
    ),
    (
        "session.timeout.ms",
        "consume -g: silence after which a member is out",
    ),
];

/// All settings of a command.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    values: BTreeMap<String, Setting>,
}

impl Settings {
    /// Gathers the settings from flags, variables, files and profiles.
    pub(crate) fn resolve(args: &ClusterArgs) -> anyhow::Result<Settings> {
        let mut settings = Settings {
            values: BTreeMap::new(),
        };
        for known in &KNOWN {
            settings.put(known.name, known.default.to_owned(), Origin::Default);
        }
        for (name, setting) in profile::chosen(args.profile.as_deref())? {
            if let Some(why) = settings.refusal(&name, &setting.value) {
                warn(&format!("{}: {}", setting.origin, why.with_hint()));
                continue;
            }
            settings.put(&name, setting.value, setting.origin);
        }
        if let Some(path) = &args.properties {
            for (name, value) in properties(path)? {
                if let Some(why) = settings.refusal(&name, &value) {
                    warn(&format!("{}: {}", path.display(), why.with_hint()));
                    continue;
                }
                settings.put(&name, value, Origin::File(path.clone()));
            }
        }
        settings.take_variables()?;
        for text in &args.overrides {
            let (name, value) = text.split_once('=').ok_or_else(|| {
                Failure::usage(format!("-X {text}: not of the form KEY=VALUE"))
                    .hint("for example -X linger.ms=5; -X list shows all settings")
            })?;
            let (name, value) = (canonical(name.trim()), value.trim());
            if let Some(why) = settings.refusal(name, value) {
                return Err(why.into());
            }
            settings.put(name, value.to_owned(), Origin::Override);
        }
        if let Some(brokers) = &args.brokers {
            settings.put(BROKERS, brokers.clone(), Origin::Flag("--brokers"));
        }
        settings.check_security()?;
        Ok(settings)
    }

    fn put(&mut self, name: &str, value: String, origin: Origin) {
        self.values
            .insert(canonical(name).to_owned(), Setting { value, origin });
    }

    /// `MILLPOND_BROKERS`, `MILLPOND_CLIENT_ID`, … for every setting whose name is known here.
    fn take_variables(&mut self) -> Result<(), Failure> {
        let names = KNOWN
            .iter()
            .map(|known| known.name)
            .chain(PASSED_ON.iter().map(|(name, _)| *name));
        for name in names {
            let variable = variable_of(name);
            if let Ok(value) = std::env::var(&variable) {
                if let Some(why) = self.refusal(name, &value) {
                    return Err(Failure::usage(format!("variable {variable}: {why}")));
                }
                self.put(name, value, Origin::Variable(variable));
            }
        }
        if let Ok(value) = std::env::var("MILLPOND_BROKERS") {
            self.put(BROKERS, value, Origin::Variable("MILLPOND_BROKERS".to_owned()));
        }
        Ok(())
    }

    /// Why `name` cannot be set to `value`; librdkafka knows all names and ranges but ours.
    fn refusal(&self, name: &str, value: &str) -> Option<Failure> {
        let name = canonical(name);
        if [CONNECT_TIMEOUT, REQUEST_TIMEOUT].contains(&name) && value.parse::<u32>().is_err() {
            return Some(Failure::usage(format!(
                "{name}={value}: not a number of milliseconds"
            )));
        }
        if [CLIENT_ID, REQUEST_TIMEOUT, SECURITY].contains(&name) {
            return None;
        }
        let mut config = ClientConfig::new();
        config.set(name, value);
        let why = config.create_native_config().err()?;
        let rdkafka::error::KafkaError::ClientConfig(_, description, ..) = why else {
            return Some(Failure::usage(format!("{name}={value}: {why}")));
        };
        let failure = Failure::usage(format!("{name}={value}: {description}"));
        let known = KNOWN
            .iter()
            .map(|known| known.name)
            .chain(PASSED_ON.iter().map(|(name, _)| *name));
        Some(match near_miss(name, known) {
            Some(near) if near != name => {
                failure.hint(format!("did you mean {near}? -X list shows all settings"))
            }
            _ => failure.hint("-X list shows the usual settings"),
        })
    }

    fn check_security(&self) -> Result<(), Failure> {
        let security = self.get(SECURITY);
        if security.value.eq_ignore_ascii_case("plaintext") {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "{SECURITY}={} (from {}): this build speaks neither TLS nor SASL",
            security.value, security.origin
        ))
        .hint("connect to a plaintext listener, or through a tunnel such as stunnel or ssh -L"))
    }

    /// A setting of ours; it always has a value.
    pub(crate) fn get(&self, name: &str) -> &Setting {
        self.values.get(name).expect("settings of ours have a default")
    }

    /// A setting that may be missing.
    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|setting| setting.value.as_str())
    }

    /// All settings by name.
    pub(crate) fn all(&self) -> &BTreeMap<String, Setting> {
        &self.values
    }

    pub(crate) fn client_id(&self) -> &str {
        &self.get(CLIENT_ID).value
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        self.millis(CONNECT_TIMEOUT)
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        self.millis(REQUEST_TIMEOUT)
    }

    fn millis(&self, name: &str) -> Duration {
        let millis = self.get(name).value.parse();
        Duration::from_millis(millis.expect("checked when it was set"))
    }

    /// A librdkafka client with these settings.
    pub(crate) fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Warning);
        for (name, setting) in &self.values {
            // librdkafka gives this name to produce requests alone, and warns when a consumer has it.
            if name != REQUEST_TIMEOUT {
                config.set(name, &setting.value);
            }
        }
        config
    }
}

/// The long name of a setting.
pub(crate) fn canonical(name: &str) -> &str {
    match name {
        "brokers" | "metadata.broker.list" => BROKERS,
        other => other,
    }
}

/// `client.id` as `MILLPOND_CLIENT_ID`.
pub(crate) fn variable_of(name: &str) -> String {
    format!("MILLPOND_{}", name.to_uppercase().replace('.', "_"))
}

/// Whether `-X list` was asked for.
pub(crate) fn wants_list(args: &ClusterArgs) -> bool {
    args.overrides.iter().any(|text| text == "list")
}

/// Prints the settings: ours with their defaults, then what people hand on to librdkafka.
pub(crate) fn write_list(out: &mut dyn std::io::Write) -> anyhow::Result<()> {
    for known in &KNOWN {
        writeln!(
            out,
            "{:<38} {} (default {})",
            known.name, known.about, known.default
        )?;
    }
    for (name, about) in PASSED_ON {
        writeln!(out, "{name:<38} {about}")?;
    }
    writeln!(
        out,
        "\nEvery other setting of librdkafka is taken too. Each of these is also a variable: {} for {CLIENT_ID}.",
        variable_of(CLIENT_ID)
    )?;
    Ok(())
}

fn properties(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(['#', '!']))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect())
}

/// Tells people what was left out; it changes no outcome.
pub(crate) fn warn(what: &str) {
    use std::io::Write;
    // Nobody is left to tell when stderr is gone.
    let _unheard = writeln!(std::io::stderr(), "warning: {what}");
}

#[cfg(test)]
#[path = "settings_test.rs"]
mod settings_test;
