//! What the tests of consumer groups share: topics in memory, and one group with its log and timers.

use std::collections::BTreeMap;

use bytes::Bytes;
use uuid::Uuid;

use super::change::{Change, Context, Timer, TimerCommand};
use super::config::ConsumerGroupConfig;
use super::group::ConsumerGroup;
use super::log_format::decode;
use super::record::ConsumerGroupRecord;
use super::request::{HeartbeatRequest, HeartbeatResponse};
use super::topics::Topics;
use crate::coordinator::group::error::GroupError;
use crate::types::{GroupId, Timestamp, TopicId, TopicName};

/// Topics in memory; each change gets a new version.
#[derive(Clone, Debug, Default)]
pub(super) struct TestTopics {
    topics: BTreeMap<TopicName, (TopicId, i32)>,
    version: i64,
    next_id: u128,
}

impl TestTopics {
    /// Makes a topic, or gives one more partitions.
    pub(super) fn set(&mut self, name: &str, partitions: i32) -> TopicId {
        self.version += 1;
        let name = TopicName::new(name).expect("legal name");
        let next_id = &mut self.next_id;
        let topic = self.topics.entry(name).or_insert_with(|| {
            *next_id += 1;
            (TopicId::new(Uuid::from_u128(*next_id)), 0)
        });
        topic.1 = partitions;
        topic.0
    }

    /// Deletes a topic.
    pub(super) fn delete(&mut self, name: &str) {
        self.version += 1;
        self.topics.remove(name);
    }
}

impl Topics for TestTopics {
    fn version(&self) -> i64 {
        self.version
    }

    fn id_of(&self, name: &str) -> Option<TopicId> {
        self.topics.get(name).map(|(id, _)| *id)
    }

    fn name_of(&self, id: &TopicId) -> Option<TopicName> {
        let found = self.topics.iter().find(|(_, (known, _))| known == id);
        found.map(|(name, _)| name.clone())
    }

    fn partition_count(&self, id: &TopicId) -> i32 {
        let found = self.topics.values().find(|(known, _)| known == id);
        found.map_or(0, |(_, count)| *count)
    }

    fn for_each_name(&self, visit: &mut dyn FnMut(&TopicName)) {
        self.topics.keys().for_each(visit);
    }
}

/// One group with the log and the timers around it, driven by hand.
#[derive(Debug)]
pub(super) struct World {
    pub(super) topics: TestTopics,
    pub(super) config: ConsumerGroupConfig,
    pub(super) now: Timestamp,
    pub(super) group: ConsumerGroup,
    pub(super) log: Vec<(Bytes, Option<Bytes>)>,
    pub(super) timers: BTreeMap<Timer, Timestamp>,
    /// What the last step wrote.
    pub(super) written: Vec<ConsumerGroupRecord>,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            topics: TestTopics::default(),
            config: ConsumerGroupConfig::default(),
            now: 1_700_000_000_000,
            group: ConsumerGroup::new(GroupId::new("g")),
            log: Vec::new(),
            timers: BTreeMap::new(),
            written: Vec::new(),
        }
    }

    /// Decides something and takes it on, as the shell does.
    pub(super) fn step<R>(
        &mut self,
        decide: impl FnOnce(&ConsumerGroup, Context<'_>) -> Result<Change<R>, GroupError>,
    ) -> Result<R, GroupError> {
        self.written.clear();
        let context = Context {
            topics: &self.topics,
            config: &self.config,
            now: self.now,
        };
        let change = decide(&self.group, context)?;
        for command in &change.timers {
            self.command(command.clone());
        }
        let encoded = change.group.encoded(&change.records);
        self.log
            .extend(encoded.into_iter().map(|record| (record.key, record.value)));
        self.group = change.group;
        self.written = change.records;
        Ok(change.response)
    }

    pub(super) fn heartbeat(&mut self, request: &HeartbeatRequest) -> Result<HeartbeatResponse, GroupError> {
        self.step(|group, context| group.heartbeat(request, context))
    }

    fn command(&mut self, command: TimerCommand) {
        match command {
            TimerCommand::Start(timer, after) => {
                self.timers.insert(timer, self.now + i64::from(after));
            }
            TimerCommand::StartIfAbsent(timer, after) => {
                let at = self.now + i64::from(after);
                self.timers.entry(timer).or_insert(at);
            }
            TimerCommand::Stop(timer) => {
                self.timers.remove(&timer);
            }
            TimerCommand::StopAll(member) => self.timers.retain(|timer, _| timer.member != member),
        }
    }

    /// Lets time pass. Returns the members that timers removed, with what the timer was for.
    pub(super) fn wait(&mut self, by_ms: i64) -> Vec<Timer> {
        let end = self.now + by_ms;
        let mut fired = Vec::new();
        loop {
            let due = self.timers.iter().min_by_key(|(_, at)| **at);
            let Some((timer, at)) = due.filter(|(_, at)| **at <= end) else {
                break;
            };
            let (timer, at) = (timer.clone(), *at);
            self.now = at;
            self.timers.remove(&timer);
            let context = Context {
                topics: &self.topics,
                config: &self.config,
                now: self.now,
            };
            let change = self
                .group
                .on_timer(&timer, context)
                .expect("timers are never refused");
            if let Some(change) = change {
                self.step(|_, _| Ok(change)).expect("decided already");
                fired.push(timer);
            }
        }
        self.now = end;
        fired
    }

    /// The group as a restart finds it.
    pub(super) fn replayed(&self) -> ConsumerGroup {
        replay(&self.log)
    }

    /// Forgets everything but the log, as a restart does.
    pub(super) fn restart(&mut self) {
        self.group = self.replayed();
        self.timers.clear();
        let context = Context {
            topics: &self.topics,
            config: &self.config,
            now: self.now,
        };
        for command in self.group.timers_after_load(context) {
            self.command(command);
        }
    }
}

/// Folds encoded records.
pub(super) fn replay(log: &[(Bytes, Option<Bytes>)]) -> ConsumerGroup {
    let mut group = ConsumerGroup::new(GroupId::new("g"));
    for (key, value) in log {
        let decoded = decode(key, value.as_deref()).expect("what we wrote is readable");
        let (of, record) = decoded.expect("a consumer group's record");
        assert_eq!(of, *group.id());
        group.apply(&record);
    }
    group
}
