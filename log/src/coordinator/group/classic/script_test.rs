//! Runs the scripts in `scripts/`: a directive, a line `----`, the expected text, a blank line.
//!
//! `join NAME [id= fresh= instance= protocols=a:x,b:y type= session= rebalance= v=]`, `sync NAME id= gen= [instance= assign=m:x,n:y type= protocol=]`,
//! `heartbeat id= gen= [instance=]`, `leave MEMBER[/INSTANCE]…`, `commit [id= gen= instance= txn=]`, `stored ok|failed` (the oldest write under way),
//! `advance MS` (fires what is due, in order), `restart` (from the last durable record), `rules KEY=VALUE…`, `remove begin|cancel`, `ask` (expiry, deletion),
//! `state`. With `REWRITE_SCRIPTS=1` the expected texts are written anew: read the difference before you keep it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::coordinator::group::rules::{Committer, GroupRules};
use crate::coordinator::txn::Now;
use crate::types::{GroupId, GroupInstanceId, MemberId, TopicName};

const WALL_START: i64 = 1_000_000;

struct World {
    group: ClassicGroup,
    rules: ClassicRules,
    now_ms: u64,
    timers: BTreeMap<ClassicTimer, Duration>,
    requests: BTreeMap<RequestId, String>,
    writes: VecDeque<(GroupMetadata, AfterStore)>,
    durable: Option<Bytes>,
}

impl World {
    fn new() -> Self {
        Self {
            group: ClassicGroup::new(GroupId::new("g")),
            rules: ClassicRules::default(),
            now_ms: 0,
            timers: BTreeMap::new(),
            requests: BTreeMap::new(),
            writes: VecDeque::new(),
            durable: None,
        }
    }

    fn now(&self) -> Now {
        Now {
            wall_ms: WALL_START + self.now_ms as i64,
            monotonic: Duration::from_millis(self.now_ms),
        }
    }

    /// Calls into the group and writes down what it asks for.
    fn step<R>(&mut self, out: &mut String, call: impl FnOnce(&mut ClassicGroup, &mut Step<'_>) -> R) -> R {
        let mut step = Step::new(self.now(), &self.rules);
        let answer = call(&mut self.group, &mut step);
        for command in step.commands {
            match command {
                ClassicCommand::SetTimer(timer, at) => {
                    self.timers.insert(timer, at);
                }
                ClassicCommand::CancelTimer(timer) => {
                    self.timers.remove(&timer);
                }
                ClassicCommand::Store(metadata, then) => {
                    writeln!(out, "store {}", stored_text(&metadata)).unwrap();
                    self.writes.push_back((metadata, then));
                }
                ClassicCommand::AnswerJoin(request, answer) => {
                    let name = self.requests.remove(&request).expect("answered once");
                    writeln!(out, "join {name}: {}", join_text(answer)).unwrap();
                }
                ClassicCommand::AnswerSync(request, answer) => {
                    let name = self.requests.remove(&request).expect("answered once");
                    let text = match answer {
                        Ok(synced) => format!("{:?}", String::from_utf8(synced.assignment.to_vec()).unwrap()),
                        Err(error) => format!("{:?}", error.code()),
                    };
                    writeln!(out, "sync {name}: {text}").unwrap();
                }
            }
        }
        answer
    }

    fn request(&mut self, name: &str) -> RequestId {
        let id = RequestId(self.requests.keys().next_back().map_or(1, |last| last.0 + 1));
        self.requests.insert(id, name.to_owned());
        id
    }

    fn run(&mut self, directive: &str) -> String {
        let mut words = directive.split_whitespace();
        let verb = words.next().expect("a directive");
        let words: Vec<&str> = words.collect();
        let args = Args(&words);
        let mut out = String::new();
        match verb {
            "rules" => self.set_rules(&args),
            "join" => self.join(&args, &mut out),
            "sync" => self.sync(&args, &mut out),
            "heartbeat" => {
                let (member, instance) = (args.member(), args.instance());
                let alive = self.step(&mut out, |group, step| {
                    group.heartbeat(&member, instance.as_ref(), args.number("gen", -1), step)
                });
                writeln!(out, "{}", outcome(&alive)).unwrap();
            }
            "leave" => {
                let leaving: Vec<LeavingMember> = words.iter().map(|word| leaving(word)).collect();
                let left = self.step(&mut out, |group, step| group.leave(&leaving, step));
                let left: Vec<String> = left.expect("not dead").iter().map(outcome).collect();
                writeln!(out, "left: {}", left.join(", ")).unwrap();
            }
            "commit" => {
                let committer = Committer {
                    member_id: args.member(),
                    instance_id: args.instance(),
                    generation_or_epoch: args.number("gen", -1),
                    transactional: args.get("txn").is_some(),
                    ..Committer::outsider()
                };
                let checked = self.group.check_commit(&committer);
                if checked.is_ok() {
                    self.step(&mut out, |group, step| {
                        group.on_commit(&committer.member_id, step)
                    });
                }
                writeln!(out, "{}", outcome(&checked)).unwrap();
            }
            "stored" => {
                let Some((metadata, then)) = self.writes.pop_front() else {
                    return "nothing to store\n".to_owned();
                };
                let ok = words == ["ok"];
                if ok {
                    self.durable = Some(encode_group_value(&metadata));
                }
                self.step(&mut out, |group, step| group.on_stored(then, ok, step));
            }
            "advance" => self.advance(words[0].parse().expect("milliseconds"), &mut out),
            "restart" => self.restart(&mut out),
            "remove" => match words[..] {
                ["begin"] => self.group.begin_removal(self.now()),
                ["cancel"] => self.group.cancel_removal(None),
                _ => panic!("remove begin or cancel"),
            },
            "ask" => self.ask(&args, &mut out),
            "state" => self.describe(&mut out),
            _ => panic!("unknown directive {verb}"),
        }
        out
    }

    fn set_rules(&mut self, args: &Args<'_>) {
        self.rules.initial_rebalance_delay_ms = args.number("delay", self.rules.initial_rebalance_delay_ms);
        self.rules.max_size = args.number("size", self.rules.max_size);
    }

    fn join(&mut self, args: &Args<'_>, out: &mut String) {
        let name = args.0[0];
        let id = self.request(name);
        let version: i32 = args.number("v", 9);
        let rebalance: i32 = args.number("rebalance", 60_000);
        let request = JoinRequest {
            member_id: args.member(),
            instance_id: args.instance(),
            client_id: "client".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            session_timeout_ms: args.number("session", 10_000),
            rebalance_timeout_ms: rebalance,
            protocol_type: args.get("type").unwrap_or("consumer").to_owned(),
            protocols: protocols(args.get("protocols").unwrap_or("range:orders")),
            requires_known_member_id: version >= 4,
            supports_skipping_assignment: version >= 9,
        };
        let fresh = MemberId::new(args.get("fresh").unwrap_or(name));
        self.step(out, |group, step| group.join(request, id, fresh, step));
        if self.requests.contains_key(&id) {
            writeln!(out, "join {name} waits").unwrap();
        }
    }

    fn sync(&mut self, args: &Args<'_>, out: &mut String) {
        let name = args.0[0];
        let id = self.request(name);
        let pairs = args.get("assign").unwrap_or_default().split(',');
        let pairs = pairs.filter_map(|pair| pair.split_once(':'));
        let request = SyncRequest {
            member_id: args.member(),
            instance_id: args.instance(),
            generation: args.number("gen", -1),
            protocol_type: args.get("type").map(str::to_owned),
            protocol: args.get("protocol").map(str::to_owned),
            assignments: pairs
                .map(|(member, assigned)| {
                    (MemberId::new(member), Bytes::copy_from_slice(assigned.as_bytes()))
                })
                .collect(),
        };
        self.step(out, |group, step| group.sync(request, id, step));
        if self.requests.contains_key(&id) {
            writeln!(out, "sync {name} waits").unwrap();
        }
    }

    fn advance(&mut self, by_ms: u64, out: &mut String) {
        let end = self.now_ms + by_ms;
        loop {
            let due = self.timers.iter().map(|(timer, at)| (*at, timer.clone())).min();
            let Some((at, timer)) = due.filter(|(at, _)| at.as_millis() as u64 <= end) else {
                break;
            };
            self.now_ms = at.as_millis() as u64;
            self.timers.remove(&timer);
            self.step(out, |group, step| group.on_timer(&timer, step));
        }
        self.now_ms = end;
    }

    fn restart(&mut self, out: &mut String) {
        self.timers.clear();
        self.requests.clear();
        self.writes.clear();
        let id = GroupId::new("g");
        self.group = match &self.durable {
            Some(value) => ClassicGroup::replay(id, decode_group_value(value).expect("our own record")),
            None => ClassicGroup::new(id),
        };
        self.step(out, |group, step| group.on_loaded(step));
    }

    fn ask(&self, args: &Args<'_>, out: &mut String) {
        let topic = TopicName::new(args.get("topic").unwrap_or("orders")).unwrap();
        writeln!(out, "expiry: {:?}", self.group.offset_expiry()).unwrap();
        writeln!(out, "delete: {}", outcome(&self.group.check_delete())).unwrap();
        writeln!(
            out,
            "delete offsets: {}, subscribed to {topic}: {}",
            outcome(&self.group.check_offset_delete()),
            self.group.is_subscribed_to(&topic)
        )
        .unwrap();
        writeln!(out, "tombstones: {}", self.group.tombstones().len()).unwrap();
    }

    fn describe(&self, out: &mut String) {
        let group = &self.group;
        let (state, generation) = (group.state().name(), group.generation());
        let leader = group.leader().map_or("nobody", MemberId::as_str);
        writeln!(
            out,
            "{state}, generation {generation}, led by {leader}, protocol {:?}",
            group.protocol()
        )
        .unwrap();
        for member in group.members() {
            let instance = member
                .instance_id
                .as_ref()
                .map_or("", |instance| instance.as_str());
            let assigned = String::from_utf8_lossy(&member.assignment);
            writeln!(out, "  {} {instance:?} assigned {assigned:?}", member.id).unwrap();
        }
        for (timer, at) in &self.timers {
            writeln!(out, "  {timer:?} at {}", at.as_millis()).unwrap();
        }
    }
}

struct Args<'a>(&'a [&'a str]);

impl<'a> Args<'a> {
    fn get(&self, key: &str) -> Option<&'a str> {
        self.0
            .iter()
            .filter_map(|word| word.split_once('='))
            .find_map(|(name, value)| (name == key).then_some(value))
    }

    fn number<T: std::str::FromStr>(&self, key: &str, default: T) -> T {
        match self.get(key) {
            Some(value) => value.parse().unwrap_or_else(|_| panic!("{key}={value}")),
            None => default,
        }
    }

    fn member(&self) -> MemberId {
        MemberId::new(self.get("id").unwrap_or_default())
    }

    fn instance(&self) -> Option<GroupInstanceId> {
        self.get("instance").map(GroupInstanceId::new)
    }
}

/// `range:orders+bills,sticky:orders`: names with the topics subscribed to; `?` is metadata that no consumer writes.
fn protocols(text: &str) -> Vec<Protocol> {
    let pairs = text.split(',').filter(|pair| !pair.is_empty());
    let protocol = |pair: &str| {
        let (name, topics) = pair.split_once(':').unwrap_or((pair, ""));
        Protocol {
            name: name.to_owned(),
            metadata: subscription(topics),
        }
    };
    pairs.map(protocol).collect()
}

fn subscription(topics: &str) -> Bytes {
    if topics == "?" {
        return Bytes::from_static(b"?");
    }
    let topics: Vec<&str> = topics.split('+').filter(|topic| !topic.is_empty()).collect();
    let mut writer = crate::codec::Writer::new();
    writer.i16(1).i32(topics.len() as i32);
    for topic in topics {
        writer.string(topic);
    }
    writer.i32(-1).finish()
}

fn leaving(word: &str) -> LeavingMember {
    let (member, instance) = word.split_once('/').unwrap_or((word, ""));
    LeavingMember {
        member_id: MemberId::new(member),
        instance_id: Some(instance)
            .filter(|name| !name.is_empty())
            .map(GroupInstanceId::new),
    }
}

fn outcome(outcome: &Result<(), crate::coordinator::group::GroupError>) -> String {
    match outcome {
        Ok(()) => "ok".to_owned(),
        Err(error) => format!("{:?}", error.code()),
    }
}

fn join_text(answer: Result<JoinedGroup, JoinRefusal>) -> String {
    match answer {
        Ok(joined) => {
            let members: Vec<&str> = joined
                .members
                .iter()
                .map(|member| member.member_id.as_str())
                .collect();
            let skip = if joined.skip_assignment {
                ", keeps the assignment"
            } else {
                ""
            };
            format!(
                "{} in generation {}, led by {}, protocol {:?}, members [{}]{skip}",
                joined.member_id,
                joined.generation,
                joined.leader,
                joined.protocol.unwrap_or_default(),
                members.join(" ")
            )
        }
        Err(refusal) => format!("{:?}, come back as {:?}", refusal.error.code(), refusal.member_id),
    }
}

fn stored_text(metadata: &GroupMetadata) -> String {
    let members: Vec<String> = metadata
        .members
        .iter()
        .map(|member| {
            format!(
                "{}={}",
                member.member_id,
                String::from_utf8_lossy(&member.assignment)
            )
        })
        .collect();
    format!("generation {} [{}]", metadata.generation, members.join(" "))
}

/// Runs a script and returns it with the texts it really gives.
fn replayed(script: &str) -> String {
    let mut world = World::new();
    let mut out = String::new();
    let mut lines = script.lines().peekable();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        while lines.next_if(|line| !line.is_empty()).is_some() {}
        out.push_str("----\n");
        out.push_str(&world.run(line));
    }
    out
}

#[test]
fn scripts_give_the_expected_answers() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/coordinator/group/classic/scripts");
    let mut paths: Vec<_> = std::fs::read_dir(&dir)
        .expect("scripts")
        .map(|entry| entry.expect("entry").path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 8, "{paths:?}");
    for path in paths {
        let script = std::fs::read_to_string(&path).expect("readable");
        let given = replayed(&script);
        if std::env::var_os("REWRITE_SCRIPTS").is_some() {
            std::fs::write(&path, &given).expect("writable");
            continue;
        }
        similar_lines(&path, &script, &given);
    }
}

fn similar_lines(path: &Path, expected: &str, given: &str) {
    for (at, (expected, given)) in expected.lines().zip(given.lines()).enumerate() {
        assert_eq!(expected, given, "{}:{}", path.display(), at + 1);
    }
    assert_eq!(
        expected.lines().count(),
        given.lines().count(),
        "{}",
        path.display()
    );
}

#[test]
fn the_log_format_is_kafkas() {
    // GroupMetadataKey v2 and GroupMetadataValue v3, byte for byte.
    assert_eq!(
        &encode_group_key(&GroupId::new("readers"))[..],
        b"\x00\x02\x00\x07readers"
    );
    let stored = GroupMetadata {
        protocol_type: "consumer".to_owned(),
        generation: 5,
        protocol: Some("range".to_owned()),
        leader: Some(MemberId::new("m")),
        state_since: 9,
        members: vec![StoredMember {
            member_id: MemberId::new("m"),
            instance_id: None,
            client_id: "c".to_owned(),
            client_host: "/h".to_owned(),
            rebalance_timeout_ms: 2,
            session_timeout_ms: 1,
            subscription: Bytes::from_static(b"s"),
            assignment: Bytes::from_static(b"aa"),
        }],
    };
    let value = encode_group_value(&stored);
    let expected: &[&[u8]] = &[
        b"\x00\x03\x00\x08consumer\0\0\0\x05\x00\x05range\x00\x01m\0\0\0\0\0\0\0\x09\0\0\0\x01",
        b"\x00\x01m\xff\xff\x00\x01c\x00\x02/h\0\0\0\x02\0\0\0\x01\0\0\0\x01s\0\0\0\x02aa",
    ];
    assert_eq!(&value[..], expected.concat());
    assert_eq!(decode_group_value(&value), Ok(stored));
}

#[test]
fn damaged_records_are_errors() {
    let empty = encode_group_value(&ClassicGroup::new(GroupId::new("g")).to_stored(None));
    for end in 0..empty.len() {
        assert!(decode_group_value(&empty[..end]).is_err(), "cut at {end}");
    }
    assert!(decode_group_value(b"\x00\x09").is_err(), "a version nobody knows");
}
