//! Settings of a client of a cluster.

use std::sync::Arc;
use std::time::Duration;

use millpond_log::clock::{Clock, SystemClock};

/// Where a cluster is and how patient its client is. TLS and SASL are not spoken yet.
#[derive(Debug, Clone)]
pub struct RemoteOptions {
    /// First brokers to ask, `HOST:PORT` with commas between them; the others are learnt from them. A port that is left out is 9092.
    pub bootstrap: String,
    /// The name brokers show in their logs. Default `millpond-streams`.
    pub client_id: String,
    /// A connection that is not made, or has not agreed on versions, within this time is given up. Default 10 s.
    pub connect_timeout: Duration,
    /// A request without an answer for this long is given up together with its connection, and its outcome is unknown; reads of metadata are
    /// repeated for so long. An application sets it to its own `request_timeout`. Default 30 s.
    pub request_timeout: Duration,
    /// The clock that times both.
    pub clock: Arc<dyn Clock>,
}

impl RemoteOptions {
    /// The cluster at these brokers, with default settings.
    #[must_use]
    pub fn new(bootstrap: impl Into<String>) -> Self {
        RemoteOptions {
            bootstrap: bootstrap.into(),
            client_id: "millpond-streams".to_owned(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            clock: SystemClock::shared(),
        }
    }
}
