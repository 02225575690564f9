//! Addresses of brokers, as users write them.
//!
//! Always true of a parsed list: it names at least one broker, and none of a listener that wants TLS or SASL, which this client does not speak.

use std::fmt;

use thiserror::Error;

/// Port of a broker whose address names none.
const DEFAULT_PORT: u16 = 9092;

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

/// Why a text names no brokers.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum BadAddress {
    #[error("no broker is named; expected HOST:PORT, or several with commas between them")]
    Empty,
    #[error("{0:?} is no HOST:PORT; for example localhost:9092 or [::1]:9093")]
    NotAnAddress(String),
    #[error("{0:?} asks for {1}, and this client speaks plaintext only; name a plaintext listener")]
    Secured(String, &'static str),
}

impl Address {
    /// Parses `host:port,host:port,…`; a port that is left out is 9092, a scheme `PLAINTEXT://` may stand before each.
    pub(super) fn parse_list(text: &str) -> Result<Vec<Address>, BadAddress> {
        let named = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let all = named.map(Address::parse).collect::<Result<Vec<_>, _>>()?;
        if all.is_empty() {
            return Err(BadAddress::Empty);
        }
        Ok(all)
    }

    fn parse(text: &str) -> Result<Address, BadAddress> {
        let bad = || BadAddress::NotAnAddress(text.to_owned());
        let rest = match text.split_once("://") {
            None => text,
            Some((scheme, rest)) => match scheme.to_ascii_uppercase().as_str() {
                "PLAINTEXT" => rest,
                "SSL" => return Err(BadAddress::Secured(text.to_owned(), "TLS")),
                "SASL_PLAINTEXT" => return Err(BadAddress::Secured(text.to_owned(), "SASL")),
                "SASL_SSL" => return Err(BadAddress::Secured(text.to_owned(), "TLS and SASL")),
                _ => return Err(bad()),
            },
        };
        let (host, port) = if let Some(bracketed) = rest.strip_prefix('[') {
            let (host, after) = bracketed.split_once(']').ok_or_else(bad)?;
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return Err(bad()),
            }
        } else {
            match rest.split_once(':') {
                // More than one colon without brackets is an IPv6 address without a port.
                Some((_, port)) if port.contains(':') => (rest, None),
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            }
        };
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(bad)?,
        };
        if host.is_empty() || host.contains(['/', ' ']) {
            return Err(bad());
        }
        Ok(Address {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
#[path = "address_test.rs"]
mod address_test;
