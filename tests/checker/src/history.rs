//! The lines of a history. Every operation is invoked once and answered at most once, by the same process.
//!
//! Always true of a history: a process has at most one operation open; values are unique over all partitions; lines stand in the order in
//! which they happened to the recorder (an invocation before the request leaves, an answer after it came).

use serde::{Deserialize, Serialize};

/// What a line tells about its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It begins.
    Invoke,
    /// It surely happened.
    Ok,
    /// It surely did not happen, and never will.
    Fail,
    /// Nobody knows (a timeout, a lost connection): it may happen even later.
    Info,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// Sends records, each for itself.
    Send,
    /// Reads committed records.
    Poll,
    /// Sends, and perhaps reads and commits offsets, all or nothing.
    Txn,
    /// Takes partitions by hand; positions start anew.
    Assign,
    /// Joins a group; the group moves partitions and positions from now on.
    Subscribe,
    /// Becomes the one live producer of a transactional id.
    Init,
    /// Commits offsets of a group.
    CommitOffsets,
    /// Asks for the committed offsets of a group.
    FetchOffsets,
    /// From here on all writing is over, and polls read every partition from start to end.
    FinalReads,
}

/// A record on its way in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    /// `topic-partition`.
    pub partition: String,
    /// Names this record.
    pub value: u64,
    /// Where it went, if that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// `topic-partition`.
    pub partition: String,
    /// Where it was.
    pub offset: u64,
    /// Names the record.
    pub value: u64,
}

/// Which life of which transactional producer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Producer {
    /// The transactional id.
    pub id: String,
    /// Grows with every `Init` of that id.
    pub epoch: u32,
}

/// An offset of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The group.
    pub group: String,
    /// `topic-partition`.
    pub partition: String,
    /// Next record to read.
    pub offset: u64,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Who.
    pub process: u32,
    /// Microseconds on the recorder's clock.
    pub time: u64,
    /// Begin or answer.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What.
    pub f: Function,
    /// Records sent: all of them at the invocation, with offsets in the answer as far as they were told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sends: Vec<Send>,
    /// Records read, in the order in which the client got them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<Read>,
    /// Offsets committed or fetched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commits: Vec<Commit>,
    /// The sender's identity; what an `Init` returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub producer: Option<Producer>,
    /// Partitions that a poll of the final reads has read to their end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read_to_end: Vec<String>,
}

impl Event {
    /// A line without details.
    pub fn new(process: u32, time: u64, kind: Kind, f: Function) -> Self {
        Self {
            process,
            time,
            kind,
            f,
            sends: Vec::new(),
            reads: Vec::new(),
            commits: Vec::new(),
            producer: None,
            read_to_end: Vec::new(),
        }
    }
}

/// A record's place: an interned partition and an offset in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Index of the partition's name.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
}
