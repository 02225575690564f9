//! Addresses of brokers, each with where it came from.

use std::fmt;

use crate::cli::failure::Failure;
use crate::cli::settings::{BROKERS, Origin, Settings};

/// Port of a broker whose address names none.
const PORT: u16 = 9092;

/// A broker's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) source: Source,
}

/// Who named the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The user.
    Settings(Origin),
    /// The cluster: broker `node`, as told by the broker at `told_by`.
    Advertised { node: i32, told_by: String },
}

impl Peer {
    /// The first brokers to ask.
    pub(crate) fn bootstrap(settings: &Settings) -> Result<Vec<Peer>, Failure> {
        let setting = settings.get(BROKERS);
        let peers = setting
            .value
            .split(',')
            .map(str::trim)
            .filter(|address| !address.is_empty())
            .map(|address| {
                let (host, port) = split(address).ok_or_else(|| {
                    Failure::usage(format!("\"{address}\" (from {}) is no HOST:PORT", setting.origin))
                        .hint("for example -b localhost:9092,[::1]:9093")
                })?;
                Ok(Peer {
                    host,
                    port,
                    source: Source::Settings(setting.origin.clone()),
                })
            })
            .collect::<Result<Vec<_>, Failure>>()?;
        if peers.is_empty() {
            return Err(Failure::usage(format!(
                "no broker in {BROKERS} (from {})",
                setting.origin
            )));
        }
        Ok(peers)
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Settings(origin) => write!(f, "{} (from {origin})", self.address()),
            Source::Advertised { node, .. } => write!(f, "broker {node} at {}", self.address()),
        }
    }
}

/// Parts an address; a listener's name in front (`PLAINTEXT://`) is left out.
fn split(address: &str) -> Option<(String, u16)> {
    let address = address.rsplit("://").next()?;
    if let Some(rest) = address.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None if port.is_empty() => PORT,
            None => return None,
        };
        return Some((host.to_owned(), port));
    }
    match address.rsplit_once(':') {
        Some((host, _)) if host.contains(':') => Some((address.to_owned(), PORT)),
        Some(("", _)) => None,
        Some((host, port)) => Some((host.to_owned(), port.parse().ok()?)),
        None => Some((address.to_owned(), PORT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parted_with_and_without_port() {
        for (address, host, port) in [
            ("localhost", "localhost", 9092),
            ("localhost:1", "localhost", 1),
            ("[::1]:9093", "::1", 9093),
            ("[::1]", "::1", 9092),
            ("::1", "::1", 9092),
            ("PLAINTEXT://k1:9094", "k1", 9094),
        ] {
            assert_eq!(split(address), Some((host.to_owned(), port)), "{address}");
        }
        for address in [":9092", "host:port", "host:99999", "[::1", "[::1]x"] {
            assert_eq!(split(address), None, "{address}");
        }
    }
}
