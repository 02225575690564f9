//! Settings of consumer groups under Kafka's names.

/// Whether a group may change from one protocol to the other while it has members (`group.consumer.migration.policy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// Both ways.
    #[default]
    Bidirectional,
    /// Only to the new protocol.
    Upgrade,
    /// Only back to the classic one.
    Downgrade,
    /// Not at all: only empty groups change.
    Disabled,
}

impl MigrationPolicy {
    /// Every policy.
    pub const ALL: [Self; 4] = [
        Self::Bidirectional,
        Self::Upgrade,
        Self::Downgrade,
        Self::Disabled,
    ];

    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bidirectional => "bidirectional",
            Self::Upgrade => "upgrade",
            Self::Downgrade => "downgrade",
            Self::Disabled => "disabled",
        }
    }

    /// True if a classic group with members may become a consumer group.
    pub fn allows_upgrade(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Upgrade)
    }

    /// True if a consumer group whose members all speak the classic protocol becomes a classic group.
    pub fn allows_downgrade(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Downgrade)
    }
}

/// Settings of consumer groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroupConfig {
    /// `group.consumer.session.timeout.ms`: a member silent for so long is dropped. Default 45 s.
    pub session_timeout_ms: i32,
    /// `group.consumer.heartbeat.interval.ms`: how often members are told to speak. Default 5 s.
    pub heartbeat_interval_ms: i32,
    /// `group.consumer.min.session.timeout.ms`: least session timeout that may be set. Default 45 s.
    pub min_session_timeout_ms: i32,
    /// `group.consumer.max.session.timeout.ms`: most session timeout that may be set. Default 60 s.
    pub max_session_timeout_ms: i32,
    /// `group.consumer.min.heartbeat.interval.ms`: least heartbeat interval that may be set. Default 5 s.
    pub min_heartbeat_interval_ms: i32,
    /// `group.consumer.max.heartbeat.interval.ms`: most heartbeat interval that may be set. Default 15 s.
    pub max_heartbeat_interval_ms: i32,
    /// `group.consumer.max.size`: most members a group may have. Default 2,147,483,647.
    pub max_size: i32,
    /// `group.consumer.migration.policy`.
    pub migration_policy: MigrationPolicy,
    /// `group.consumer.assignors`: names of the assignors members may ask for; the first is the default. Default `uniform`, `range`.
    pub assignors: Vec<String>,
    /// How long a pattern's topics are kept before new topics are looked at again. Default 1 s.
    pub pattern_refresh_ms: i64,
}

impl Default for ConsumerGroupConfig {
    fn default() -> Self {
        Self {
            session_timeout_ms: 45_000,
            heartbeat_interval_ms: 5_000,
            min_session_timeout_ms: 45_000,
            max_session_timeout_ms: 60_000,
            min_heartbeat_interval_ms: 5_000,
            max_heartbeat_interval_ms: 15_000,
            max_size: i32::MAX,
            migration_policy: MigrationPolicy::default(),
            assignors: vec!["uniform".to_owned(), "range".to_owned()],
            pattern_refresh_ms: 1_000,
        }
    }
}
