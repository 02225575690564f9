//! Kafka's numeric error codes, all of them: the client side meets those of other brokers too.
//!
//! The numbers are the wire protocol's and never change. `BrokerError` carries one of them, so that the embedded client and
//! a socket client are told the same thing. Where to look next: `error.rs` adds the facts and says what the caller must do.

use std::fmt;

/// A Kafka error code. `code()` is the number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(i16)]
pub enum ErrorCode {
    /// The server met an unexpected error.
    UnknownServerError = -1,
    /// No error.
    None = 0,
    /// The asked offset is outside the log.
    OffsetOutOfRange = 1,
    /// A batch failed its checksum or is malformed.
    CorruptMessage = 2,
    /// The topic or partition does not exist.
    UnknownTopicOrPartition = 3,
    /// The fetch size is not allowed.
    InvalidFetchSize = 4,
    /// The partition has no leader yet.
    LeaderNotAvailable = 5,
    /// This broker does not lead the partition (or no longer serves it).
    NotLeaderOrFollower = 6,
    /// The request timed out; what it asked for may or may not have happened.
    RequestTimedOut = 7,
    /// The broker cannot be reached.
    BrokerNotAvailable = 8,
    /// The replica is not on this broker.
    ReplicaNotAvailable = 9,
    /// A batch is larger than `max.message.bytes`.
    MessageTooLarge = 10,
    /// The controller moved to another broker.
    StaleControllerEpoch = 11,
    /// The metadata string of an offset commit is too long.
    OffsetMetadataTooLarge = 12,
    /// The connection ended before the answer.
    NetworkException = 13,
    /// The coordinator is still replaying its log.
    CoordinatorLoadInProgress = 14,
    /// The coordinator cannot answer now.
    CoordinatorNotAvailable = 15,
    /// Another broker coordinates this group or transactional id.
    NotCoordinator = 16,
    /// The topic name is not allowed.
    InvalidTopicException = 17,
    /// The batch list is larger than a segment.
    RecordListTooLarge = 18,
    /// Fewer replicas are in sync than `min.insync.replicas` asks for; nothing was written.
    NotEnoughReplicas = 19,
    /// Written, but to fewer in-sync replicas than asked for.
    NotEnoughReplicasAfterAppend = 20,
    /// `acks` is none of -1, 0 and 1.
    InvalidRequiredAcks = 21,
    /// The generation is not the group's current one.
    IllegalGeneration = 22,
    /// The member's protocol type or protocols do not fit the group's.
    InconsistentGroupProtocol = 23,
    /// The group id is not allowed.
    InvalidGroupId = 24,
    /// The member is not in the group.
    UnknownMemberId = 25,
    /// The session timeout is outside the broker's bounds.
    InvalidSessionTimeout = 26,
    /// The group rebalances; join again.
    RebalanceInProgress = 27,
    /// A commit is too large.
    InvalidCommitOffsetSize = 28,
    /// No right to the topic.
    TopicAuthorizationFailed = 29,
    /// No right to the group.
    GroupAuthorizationFailed = 30,
    /// No right to the cluster.
    ClusterAuthorizationFailed = 31,
    /// A timestamp lies outside the range the topic allows.
    InvalidTimestamp = 32,
    /// The SASL mechanism is not offered.
    UnsupportedSaslMechanism = 33,
    /// The request does not fit the state of the SASL exchange.
    IllegalSaslState = 34,
    /// The version of the API is not served.
    UnsupportedVersion = 35,
    /// The topic exists.
    TopicAlreadyExists = 36,
    /// The number of partitions is not allowed.
    InvalidPartitions = 37,
    /// The replication factor is not allowed, or there are too few brokers for it.
    InvalidReplicationFactor = 38,
    /// The replica assignment is not allowed.
    InvalidReplicaAssignment = 39,
    /// A setting is unknown or its value is not allowed.
    InvalidConfig = 40,
    /// This broker is not the controller.
    NotController = 41,
    /// The request contradicts itself or this broker's rules.
    InvalidRequest = 42,
    /// The message format of the topic cannot hold the request.
    UnsupportedForMessageFormat = 43,
    /// A cap or policy refuses the request.
    PolicyViolation = 44,
    /// A sequence number skipped ahead: an earlier batch is missing.
    OutOfOrderSequenceNumber = 45,
    /// A sequence number was seen before and the batch is not among those remembered.
    DuplicateSequenceNumber = 46,
    /// The producer's epoch is older than the partition's.
    InvalidProducerEpoch = 47,
    /// The transaction is not in a state that allows the request.
    InvalidTxnState = 48,
    /// The producer id does not belong to the transactional id.
    InvalidProducerIdMapping = 49,
    /// The transaction timeout exceeds the broker's limit.
    InvalidTransactionTimeout = 50,
    /// Another request of the same transactional id is being worked on.
    ConcurrentTransactions = 51,
    /// An older coordinator tried to write.
    TransactionCoordinatorFenced = 52,
    /// No right to the transactional id.
    TransactionalIdAuthorizationFailed = 53,
    /// Security features are switched off.
    SecurityDisabled = 54,
    /// The operation was not tried because another one of the request failed.
    OperationNotAttempted = 55,
    /// The log directory failed; it takes no more writes until the process restarts.
    KafkaStorageError = 56,
    /// The log directory does not exist.
    LogDirNotFound = 57,
    /// Authentication failed.
    SaslAuthenticationFailed = 58,
    /// The producer id is not known to the partition.
    UnknownProducerId = 59,
    /// A reassignment of the partition is under way.
    ReassignmentInProgress = 60,
    /// Delegation tokens are switched off.
    DelegationTokenAuthDisabled = 61,
    /// The delegation token is not known.
    DelegationTokenNotFound = 62,
    /// The delegation token belongs to somebody else.
    DelegationTokenOwnerMismatch = 63,
    /// Delegation tokens are not given out over this connection.
    DelegationTokenRequestNotAllowed = 64,
    /// No right to the delegation token.
    DelegationTokenAuthorizationFailed = 65,
    /// The delegation token is too old.
    DelegationTokenExpired = 66,
    /// The type of principal is not supported.
    InvalidPrincipalType = 67,
    /// The group has members.
    NonEmptyGroup = 68,
    /// The group does not exist.
    GroupIdNotFound = 69,
    /// The fetch session is not known.
    FetchSessionIdNotFound = 70,
    /// The fetch session is at another epoch.
    InvalidFetchSessionEpoch = 71,
    /// The listener does not exist on the leader.
    ListenerNotFound = 72,
    /// Deleting topics is switched off.
    TopicDeletionDisabled = 73,
    /// The asked leader epoch is older than the current one.
    FencedLeaderEpoch = 74,
    /// The asked leader epoch is newer than the current one.
    UnknownLeaderEpoch = 75,
    /// The codec is not supported.
    UnsupportedCompressionType = 76,
    /// The broker epoch is older than the registered one.
    StaleBrokerEpoch = 77,
    /// The leader's watermark has not caught up with its promise yet.
    OffsetNotAvailable = 78,
    /// The member must join again with the id it was given.
    MemberIdRequired = 79,
    /// The preferred leader is not available.
    PreferredLeaderNotAvailable = 80,
    /// The group is full.
    GroupMaxSizeReached = 81,
    /// Another member with the same group instance id took over.
    FencedInstanceId = 82,
    /// No replica may lead.
    EligibleLeadersNotAvailable = 83,
    /// The partition is led as asked already.
    ElectionNotNeeded = 84,
    /// No reassignment is under way.
    NoReassignmentInProgress = 85,
    /// The group consumes the topic.
    GroupSubscribedToTopic = 86,
    /// A record is refused (a compacted topic needs keys, for instance).
    InvalidRecord = 87,
    /// A transaction with offsets of this partition is open.
    UnstableOffsetCommit = 88,
    /// A throttle asks the client to wait.
    ThrottlingQuotaExceeded = 89,
    /// A newer producer with the same transactional id took over.
    ProducerFenced = 90,
    /// The named resource does not exist.
    ResourceNotFound = 91,
    /// A resource is named twice.
    DuplicateResource = 92,
    /// The credential does not meet the rules.
    UnacceptableCredential = 93,
    /// The sets of voters differ.
    InconsistentVoterSet = 94,
    /// The feature version is not allowed.
    InvalidUpdateVersion = 95,
    /// The feature could not be updated.
    FeatureUpdateFailed = 96,
    /// The forwarded principal cannot be read.
    PrincipalDeserializationFailure = 97,
    /// The snapshot does not exist.
    SnapshotNotFound = 98,
    /// The position is outside the snapshot.
    PositionOutOfRange = 99,
    /// No topic has this id.
    UnknownTopicId = 100,
    /// The broker id is taken.
    DuplicateBrokerRegistration = 101,
    /// The broker id is not registered.
    BrokerIdNotRegistered = 102,
    /// The topic id is not that of the log.
    InconsistentTopicId = 103,
    /// The cluster id is another one.
    InconsistentClusterId = 104,
    /// The transactional id is not known.
    TransactionalIdNotFound = 105,
    /// The fetch session mixes topic names and topic ids.
    FetchSessionTopicIdError = 106,
    /// The replica may not join the in-sync set.
    IneligibleReplica = 107,
    /// The change made another broker the leader.
    NewLeaderElected = 108,
    /// The offset lies in tiered storage.
    OffsetMovedToTieredStorage = 109,
    /// The member's epoch is not the one the group knows; it must give up its partitions and join again.
    FencedMemberEpoch = 110,
    /// The group instance id is still held by another member.
    UnreleasedInstanceId = 111,
    /// The assignor is not offered.
    UnsupportedAssignor = 112,
    /// The member's epoch is behind; ask for the newest and repeat.
    StaleMemberEpoch = 113,
    /// The request came to the wrong kind of endpoint.
    MismatchedEndpointType = 114,
    /// The kind of endpoint is not supported.
    UnsupportedEndpointType = 115,
    /// The controller id is not known.
    UnknownControllerId = 116,
    /// The telemetry subscription is out of date.
    UnknownSubscriptionId = 117,
    /// The telemetry is larger than allowed.
    TelemetryTooLarge = 118,
    /// The controller considers the registration wrong.
    InvalidRegistration = 119,
    /// The transaction met an error it can be aborted after.
    TransactionAbortable = 120,
    /// The record is in another state.
    InvalidRecordState = 121,
    /// The share session is not known.
    ShareSessionNotFound = 122,
    /// The share session is at another epoch.
    InvalidShareSessionEpoch = 123,
    /// The share coordinator knows a newer state epoch.
    FencedStateEpoch = 124,
    /// The voter key is not that of the receiver.
    InvalidVoterKey = 125,
    /// The voter exists.
    DuplicateVoter = 126,
    /// The voter does not exist.
    VoterNotFound = 127,
    /// The regular expression cannot be understood.
    InvalidRegularExpression = 128,
    /// The client must start again from its bootstrap servers.
    RebootstrapRequired = 129,
}

impl ErrorCode {
    /// The number on the wire.
    pub fn code(self) -> i16 {
        self as i16
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({})", self, self.code())
    }
}
