//! Consumer groups by script: each file of `scripts/` tells a story as directives (`> …`), each followed by what it shows.
//!
//! `topic NAME N` · `delete NAME` · `wait MS` · `restart` · `show` · `config KEY=VALUE` · `commit MEMBER epoch=E partitions=…` ·
//! `hb MEMBER epoch=E …` and `join MEMBER …` with `names=a,b pattern=P assignor=A instance=I timeout=MS owned=topic:0,1;other:2` (`owned=-` for none).
//! Members of the classic protocol: `cjoin MEMBER names=… owned=… protocols=range,sticky` (`cjoin ?` without an id), `csync MEMBER generation=G`, `chb MEMBER generation=G`,
//! `cleave MEMBER`.
//! With `MILLPOND_REWRITE_SCRIPTS` set the files are rewritten to what was shown: read the difference before you keep it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use bytes::Bytes;

use super::classic_format::{by_id, read_assignment, write_assignment};
use super::group::keys;
use super::partitions::{PartitionSet, TopicIdPartition, by_topic};
use super::record::ConsumerGroupRecord;
use super::request::HeartbeatRequest;
use super::testing::World;
use super::topics::Topics;
use crate::codec::Writer;
use crate::coordinator::group::classic::{JoinRequest, LeavingMember, Protocol, SyncRequest};
use crate::coordinator::group::error::GroupError;
use crate::coordinator::group::rules::Committer;
use crate::types::{GroupInstanceId, MemberId};

fn run_script(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/coordinator/group/consumer/scripts")
        .join(format!("{name}.txt"));
    let script = std::fs::read_to_string(&path).expect("script is there");
    let mut world = World::new();
    let mut shown = String::new();
    let mut skipping = false;
    for line in script.lines() {
        if let Some(directive) = line.strip_prefix("> ") {
            writeln!(shown, "{line}").unwrap();
            shown.push_str(&run(&mut world, directive));
            assert_eq!(
                world.replayed(),
                world.group,
                "after {directive:?} a restart finds another group"
            );
            skipping = true;
        } else if line.is_empty() || line.starts_with('#') {
            writeln!(shown, "{line}").unwrap();
            skipping = false;
        } else {
            assert!(skipping, "what does {line:?} belong to?");
        }
    }
    if std::env::var_os("MILLPOND_REWRITE_SCRIPTS").is_some() {
        std::fs::write(&path, &shown).expect("script is rewritten");
    }
    assert_eq!(shown, script, "script {name} tells another story");
}

#[test]
fn members_join_share_and_leave() {
    run_script("join_and_leave");
}

#[test]
fn revocation_goes_before_assignment_over_three_members() {
    run_script("revocation");
}

#[test]
fn static_members_keep_their_place() {
    run_script("static_members");
}

#[test]
fn members_with_wrong_epochs_are_fenced() {
    run_script("fencing");
}

#[test]
fn silent_and_slow_members_are_dropped() {
    run_script("timeouts");
}

#[test]
fn patterns_follow_the_topics() {
    run_script("patterns");
}

#[test]
fn malformed_requests_are_refused() {
    run_script("refusals");
}

#[test]
fn commits_are_judged_by_epoch_and_ownership() {
    run_script("commits");
}

#[test]
fn classic_members_live_among_new_ones() {
    run_script("classic_members");
}

fn run(world: &mut World, directive: &str) -> String {
    let mut words = directive.split_whitespace();
    let verb = words.next().expect("a verb");
    let rest: Vec<&str> = words.collect();
    let at = |index: usize| {
        *rest
            .get(index)
            .unwrap_or_else(|| panic!("{directive:?} ends early"))
    };
    match verb {
        "topic" => {
            world.topics.set(at(0), at(1).parse().expect("a number"));
            String::new()
        }
        "delete" => {
            world.topics.delete(at(0));
            String::new()
        }
        "config" => {
            configure(world, at(0));
            String::new()
        }
        "wait" => {
            let fired = world.wait(at(0).parse().expect("milliseconds"));
            let lines = fired
                .iter()
                .map(|timer| format!("{} is dropped: {:?}\n", timer.member, timer.kind));
            lines.collect()
        }
        "restart" => {
            world.restart();
            String::new()
        }
        "show" => show(world),
        "hb" | "join" => heartbeat(world, verb == "join", at(0), &rest[1..]),
        "cjoin" => classic_join(world, at(0), &rest[1..]),
        "csync" => classic_sync(world, at(0), at(1)),
        "chb" => classic_heartbeat(world, at(0), at(1)),
        "cleave" => classic_leave(world, at(0)),
        "commit" => commit(world, at(0), &rest[1..]),
        _ => panic!("unknown directive {directive:?}"),
    }
}

fn configure(world: &mut World, setting: &str) {
    let (key, value) = setting.split_once('=').expect("KEY=VALUE");
    match key {
        "max.size" => world.config.max_size = value.parse().expect("a number"),
        _ => panic!("unknown setting {key}"),
    }
}

fn heartbeat(world: &mut World, joins: bool, member: &str, fields: &[&str]) -> String {
    let mut request = HeartbeatRequest {
        member_id: member.trim_matches('"').to_owned(),
        client_id: "c".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        ..HeartbeatRequest::default()
    };
    if joins {
        request.rebalance_timeout_ms = Some(60_000);
        request.owned = Some(PartitionSet::new());
    }
    for field in fields {
        let (key, value) = field.split_once('=').expect("key=value");
        let list = || {
            value
                .split(',')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect()
        };
        match key {
            "epoch" => request.member_epoch = value.parse().expect("an epoch"),
            "names" => request.subscribed_names = Some(list()),
            "pattern" => request.subscribed_pattern = Some(value.to_owned()),
            "assignor" => request.server_assignor = Some(value.to_owned()),
            "instance" => request.instance_id = Some(value.to_owned()),
            "rack" => request.rack_id = Some(value.to_owned()),
            "timeout" => request.rebalance_timeout_ms = value.parse().ok(),
            "owned" => request.owned = (value != "?").then(|| partitions(world, value)),
            _ => panic!("unknown field {key}"),
        }
    }
    let mut shown = String::new();
    match world.heartbeat(&request) {
        Ok(response) => {
            write!(shown, "epoch {}", response.member_epoch).unwrap();
            if let Some(assignment) = &response.assignment {
                write!(shown, ", assigned {}", named(world, assignment)).unwrap();
            }
        }
        Err(error) => write!(shown, "{}: {error}", error.code()).unwrap(),
    }
    shown.push('\n');
    shown.push_str(&writes(world));
    shown
}

fn writes(world: &World) -> String {
    let kinds: Vec<String> = world.written.iter().map(kind).collect();
    match kinds.is_empty() {
        true => String::new(),
        false => format!("  writes {}\n", kinds.join(", ")),
    }
}

fn refused(error: &GroupError) -> String {
    format!("{}: {error}\n", error.code())
}

/// The subscription of a classic consumer, version 1.
fn subscription(world: &World, names: &str, owned: &PartitionSet) -> Bytes {
    let mut writer = Writer::new();
    let names: Vec<&str> = names.split(',').collect();
    writer.i16(1).i32(names.len() as i32);
    for name in names {
        writer.string(name);
    }
    let assignment = write_assignment(1, owned, &world.topics);
    // An assignment is a version, the partitions and null user data; a subscription has the user data first.
    let partitions = &assignment[2..assignment.len() - 4];
    let head = writer.i32(-1).finish();
    Bytes::from([&head[..], partitions].concat())
}

fn classic_join(world: &mut World, member: &str, fields: &[&str]) -> String {
    let field = |key: &str| {
        fields
            .iter()
            .find_map(|field| field.strip_prefix(key)?.strip_prefix('='))
    };
    let owned = partitions(world, field("owned").unwrap_or("-"));
    let metadata = subscription(world, field("names").unwrap_or("orders"), &owned);
    let protocols = field("protocols").unwrap_or("range").split(',');
    let request = JoinRequest {
        member_id: MemberId::new(if member == "?" { "" } else { member }),
        instance_id: field("instance").map(GroupInstanceId::new),
        client_id: "c".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 20_000,
        protocol_type: field("type").unwrap_or("consumer").to_owned(),
        protocols: protocols
            .map(|name| Protocol {
                name: name.to_owned(),
                metadata: metadata.clone(),
            })
            .collect(),
        requires_known_member_id: true,
        supports_skipping_assignment: true,
    };
    let joined = world.step(|group, context| {
        let fresh = MemberId::new("fresh");
        group
            .classic_join(&request, fresh, context)
            .map_err(|refusal| refusal.error)
    });
    match joined {
        Ok(joined) => {
            let protocol = joined.protocol.unwrap_or_default();
            format!(
                "{} joins generation {} with {protocol}\n{}",
                joined.member_id,
                joined.generation,
                writes(world)
            )
        }
        Err(error) => refused(&error),
    }
}

fn generation(field: &str) -> i32 {
    let number = field.strip_prefix("generation=").expect("a generation");
    number.parse().expect("a number")
}

fn classic_sync(world: &mut World, member: &str, field: &str) -> String {
    let request = SyncRequest {
        member_id: MemberId::new(member),
        instance_id: None,
        generation: generation(field),
        protocol_type: None,
        protocol: None,
        assignments: Vec::new(),
    };
    match world.step(|group, context| group.classic_sync(&request, context)) {
        Ok(Ok(synced)) => {
            let assigned = read_assignment(&synced.assignment).expect("an assignment");
            format!("assigned {}\n", named(world, &by_id(&assigned, &world.topics)))
        }
        Ok(Err(error)) | Err(error) => refused(&error),
    }
}

fn classic_heartbeat(world: &mut World, member: &str, field: &str) -> String {
    let (member, generation) = (MemberId::new(member), generation(field));
    match world.step(|group, _| group.classic_heartbeat(&member, None, generation)) {
        Ok(Ok(())) => "alive\n".to_owned(),
        Ok(Err(error)) | Err(error) => refused(&error),
    }
}

fn classic_leave(world: &mut World, member: &str) -> String {
    let leaving = [LeavingMember {
        member_id: MemberId::new(member),
        instance_id: None,
    }];
    let left = world
        .step(|group, context| group.classic_leave(&leaving, context))
        .expect("answers per member");
    match &left[0] {
        Ok(()) => format!("leaves\n{}", writes(world)),
        Err(error) => refused(error),
    }
}

fn kind(record: &ConsumerGroupRecord) -> String {
    use ConsumerGroupRecord as R;
    let of = |kind: &str, of: &str, there: bool| format!("{}{kind} {of}", if there { "" } else { "-" });
    match record {
        R::Metadata(Some(metadata)) => format!("epoch {}", metadata.epoch),
        R::Metadata(None) => "-epoch".to_owned(),
        R::PartitionMetadata(_) => "-partition metadata".to_owned(),
        R::TargetMetadata(Some(metadata)) => format!("target epoch {}", metadata.epoch),
        R::TargetMetadata(None) => "-target epoch".to_owned(),
        R::Member(id, value) => of("member", id.as_str(), value.is_some()),
        R::Target(id, value) => of("target", id.as_str(), value.is_some()),
        R::Current(id, value) => of("current", id.as_str(), value.is_some()),
        R::Pattern(text, value) => of("pattern", text, value.is_some()),
    }
}

fn commit(world: &World, member: &str, fields: &[&str]) -> String {
    let mut committer = Committer::outsider();
    let mut of = PartitionSet::new();
    if member != "-" {
        committer.member_id = MemberId::new(member);
    }
    for field in fields {
        let (key, value) = field.split_once('=').expect("key=value");
        match key {
            "epoch" => committer.generation_or_epoch = value.parse().expect("an epoch"),
            "partitions" => of = partitions(world, value),
            "transactional" => committer.transactional = true,
            "version" => committer.knows_member_epochs = value.parse::<i16>().expect("a version") >= 9,
            _ => panic!("unknown field {key}"),
        }
    }
    let of: Vec<TopicIdPartition> = of.into_iter().collect();
    match world.group.check_commit_of(&committer, &of) {
        Ok(()) => "may commit\n".to_owned(),
        Err(error) => format!("{}: {error}\n", error.code()),
    }
}

/// `orders:0,1;payments:2`; `-` for none.
fn partitions(world: &World, text: &str) -> PartitionSet {
    let mut set = PartitionSet::new();
    for topic in text.split(';').filter(|topic| *topic != "-") {
        let (name, numbers) = topic.split_once(':').expect("topic:numbers");
        let id = world.topics.id_of(name).expect("a topic that exists");
        let number = |number: &str| TopicIdPartition::new(id, number.parse::<i32>().expect("a number"));
        set.extend(numbers.split(',').map(number));
    }
    set
}

fn named(world: &World, partitions: &PartitionSet) -> String {
    let mut topics: BTreeMap<String, String> = BTreeMap::new();
    for (id, numbers) in by_topic(partitions) {
        let name = world.topics.name_of(&id);
        let name = name.map_or_else(|| "(deleted)".to_owned(), |name| name.as_str().to_owned());
        let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        topics.insert(name, numbers.join(","));
    }
    match topics.is_empty() {
        true => "-".to_owned(),
        false => topics
            .iter()
            .map(|(name, numbers)| format!("{name}:{numbers}"))
            .collect::<Vec<_>>()
            .join(";"),
    }
}

fn show(world: &World) -> String {
    let group = &world.group;
    let mut shown = String::new();
    if group.is_gone() {
        return "no group\n".to_owned();
    }
    writeln!(
        shown,
        "{} epoch {} target {}",
        group.state(),
        group.epoch(),
        group.assignment_epoch()
    )
    .unwrap();
    for id in group.member_ids() {
        let current = group.current(id);
        let (assigned, target) = (
            named(world, &keys(&current.assigned)),
            named(world, &group.target(id)),
        );
        write!(
            shown,
            "  {id} {:?} epoch {} owns {assigned}",
            current.state, current.epoch
        )
        .unwrap();
        if !current.revoking.is_empty() {
            write!(shown, " gives up {}", named(world, &keys(&current.revoking))).unwrap();
        }
        writeln!(shown, " shall own {target}").unwrap();
    }
    for text in &group.unresolved {
        writeln!(shown, "  pattern {text} is to be looked up").unwrap();
    }
    for (text, resolved) in &group.patterns {
        let topics: Vec<&str> = resolved.topics.iter().map(String::as_str).collect();
        let topics = match topics.is_empty() {
            true => "-".to_owned(),
            false => topics.join(","),
        };
        writeln!(shown, "  pattern {text} matches {topics}").unwrap();
    }
    shown
}
