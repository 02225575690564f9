//! The checker is worth what it catches: clean histories raise no alarm, and every planted anomaly is caught by its rule.

use std::collections::BTreeSet;

use crate::history::{Event, Function, Kind, Producer, Read};
use crate::simulated_history::{FINAL_READER, history, name};
use crate::{Checker, Report, Rule};

fn judge(events: &[Event]) -> Report {
    let mut checker = Checker::new();
    for event in events {
        checker.event(event);
    }
    checker.finish()
}

/// Plants `mutation` in histories of many seeds, wherever it finds a place, and expects `rule` each time.
fn always_caught(rule: Rule, mutation: impl Fn(&mut Vec<Event>) -> bool) {
    let mut planted = 0;
    for seed in 0..200 {
        let mut events = history(seed);
        if mutation(&mut events) {
            planted += 1;
            let report = judge(&events);
            assert!(
                report.has(rule),
                "seed {seed}: {rule:?} was planted and not found:\n{report}"
            );
        }
    }
    assert!(planted > 20, "planted only {planted} times");
}

fn values_read(events: &[Event]) -> BTreeSet<u64> {
    events
        .iter()
        .flat_map(|event| &event.reads)
        .map(|read| read.value)
        .collect()
}

fn hide(events: &mut [Event], value: u64) {
    for event in events {
        event.reads.retain(|read| read.value != value);
    }
}

/// Values of operations that were answered with ok and that hold for `wanted`.
fn acknowledged(events: &[Event], wanted: impl Fn(&Event) -> bool) -> Vec<u64> {
    let ok = events
        .iter()
        .filter(|event| event.kind == Kind::Ok && wanted(event));
    ok.flat_map(|event| &event.sends).map(|send| send.value).collect()
}

#[test]
fn a_thousand_clean_histories_raise_no_alarm() {
    for seed in 0..1000 {
        let report = judge(&history(seed));
        assert!(report.is_clean(), "seed {seed}:\n{report}");
        assert!(
            report.read > 50,
            "seed {seed} reads too little to mean anything:\n{report}"
        );
    }
}

#[test]
fn a_value_that_every_reader_passes_over_is_lost() {
    always_caught(Rule::LostWrite, |events| {
        let Some(value) = acknowledged(events, |_| true).first().copied() else {
            return false;
        };
        hide(events, value);
        true
    });
}

#[test]
fn an_acknowledged_value_that_the_final_reads_do_not_find_is_unseen() {
    always_caught(Rule::Unseen, |events| {
        let Some(value) = acknowledged(events, |_| true).last().copied() else {
            return false;
        };
        hide(events, value);
        true
    });
}

#[test]
fn a_value_at_two_places_is_a_duplicate() {
    always_caught(Rule::Duplicate, |events| {
        let Some(last) = events.iter_mut().rev().find(|event| !event.reads.is_empty()) else {
            return false;
        };
        let mut again = last.reads[0].clone();
        again.offset += 1000;
        last.reads.push(again);
        true
    });
}

#[test]
fn two_values_at_one_place_are_inconsistent() {
    always_caught(Rule::InconsistentOffset, |events| {
        let values: Vec<u64> = values_read(events).into_iter().collect();
        let Some(read) = events.iter_mut().flat_map(|event| &mut event.reads).last() else {
            return false;
        };
        read.value = values[0].min(if values[0] == read.value {
            values[1]
        } else {
            values[0]
        });
        // The place must be known otherwise too: from the acknowledgement or another reader.
        let (partition, offset) = (read.partition.clone(), read.offset);
        events
            .iter()
            .flat_map(|event| &event.sends)
            .any(|send| send.partition == partition && send.offset == Some(offset))
    });
}

#[test]
fn a_value_of_a_failed_writer_may_not_be_read() {
    always_caught(Rule::AbortedRead, |events| {
        let read = values_read(events);
        let writer = events.iter_mut().find(|event| {
            event.kind == Kind::Ok && event.sends.iter().any(|send| read.contains(&send.value))
        });
        let Some(writer) = writer else { return false };
        writer.kind = Kind::Fail;
        true
    });
}

#[test]
fn a_transaction_of_which_only_part_is_read_is_torn() {
    for kind in [Kind::Ok, Kind::Info] {
        always_caught(Rule::TornTransaction, |events| {
            let read = values_read(events);
            let torn = events
                .iter_mut()
                .filter(|event| event.f == Function::Txn && event.kind != Kind::Invoke)
                .find(|event| {
                    event.sends.len() > 1 && event.sends.iter().all(|send| read.contains(&send.value))
                });
            let Some(torn) = torn else { return false };
            torn.kind = kind;
            if kind == Kind::Info {
                torn.sends.iter_mut().for_each(|send| send.offset = None);
            }
            let value = torn.sends[1].value;
            hide(events, value);
            true
        });
    }
}

#[test]
fn a_transaction_may_not_read_its_own_sends() {
    always_caught(Rule::PrecommittedRead, |events| {
        let found = events.iter_mut().find(|event| {
            event.f == Function::Txn
                && event.kind == Kind::Ok
                && event.sends.iter().any(|send| send.offset.is_some())
        });
        let Some(event) = found else { return false };
        let send = &event.sends[0];
        event.reads.push(Read {
            partition: send.partition.clone(),
            offset: send.offset.unwrap_or(0),
            value: send.value,
        });
        true
    });
}

#[test]
fn a_poll_may_neither_skip_nor_go_back() {
    always_caught(Rule::PollSkip, |events| {
        // One that must be visible; whether a value of unknown outcome is in the log, only its readers can tell.
        let sure = acknowledged(events, |_| true);
        let Some(poll) = events
            .iter_mut()
            .rev()
            .find(|event| event.reads.len() > 2 && sure.contains(&event.reads[1].value))
        else {
            return false;
        };
        poll.reads.remove(1);
        true
    });
    always_caught(Rule::PollSkip, |events| {
        let Some(poll) = events.iter_mut().rev().find(|event| event.reads.len() > 2) else {
            return false;
        };
        poll.reads.swap(0, 1);
        true
    });
}

#[test]
fn a_process_may_not_skip_between_its_polls() {
    always_caught(Rule::PollSkipBetween, |events| {
        let of_first = |event: &&mut Event| {
            event.process == FINAL_READER && event.reads.iter().any(|read| read.partition == name(0))
        };
        let mut polls: Vec<&mut Event> = events.iter_mut().filter(of_first).collect();
        if polls.len() < 3 {
            return false;
        }
        polls[1].reads.clear();
        true
    });
}

#[test]
fn offsets_told_to_one_process_may_not_go_back() {
    always_caught(Rule::SendOrder, |events| {
        for event in events.iter_mut().filter(|event| event.kind == Kind::Ok) {
            let sends = &mut event.sends;
            for last in 1..sends.len() {
                if sends[last].partition == sends[last - 1].partition && sends[last].offset.is_some() {
                    let offset = sends[last].offset;
                    sends[last].offset = sends[last - 1].offset;
                    sends[last - 1].offset = offset;
                    return true;
                }
            }
        }
        false
    });
}

#[test]
fn a_value_read_before_its_writer_began_closes_a_circle() {
    always_caught(Rule::Cycle, |events| {
        let Some(value) = acknowledged(events, |_| true).first().copied() else {
            return false;
        };
        let is_write = |event: &Event| event.sends.iter().any(|send| send.value == value);
        let Some(process) = events
            .iter()
            .find(|event| is_write(event))
            .map(|event| event.process)
        else {
            return false;
        };
        let reader = events
            .iter()
            .position(|event| event.process != process && event.reads.iter().any(|read| read.value == value));
        let Some(reader) = reader else { return false };
        // The write, later than the read that saw it; its process does nothing else.
        let moved: Vec<Event> = events[..reader]
            .iter()
            .filter(|event| is_write(event))
            .cloned()
            .collect();
        if moved.len() != 2 {
            return false;
        }
        let rest = events[reader + 1..].to_vec();
        events.truncate(reader + 1);
        events.retain(|event| !is_write(event));
        let open_elsewhere = events.iter().filter(|event| event.process == process).count() % 2;
        if open_elsewhere == 1 {
            return false;
        }
        events.extend(moved);
        events.extend(rest);
        true
    });
}

#[test]
fn a_committed_offset_may_not_go_back() {
    always_caught(Rule::OffsetRegression, |events| {
        let fetched = events.iter_mut().rev().find(|event| {
            event.f == Function::FetchOffsets
                && event.kind == Kind::Ok
                && event.commits.iter().any(|commit| commit.offset > 0)
        });
        let Some(fetched) = fetched else { return false };
        fetched.commits[0].offset -= 1;
        let asked = fetched.clone();
        // Only a commit that was answered before the question counts.
        let at = events.iter().position(|event| *event == asked).unwrap_or(0);
        let question = events[..at]
            .iter()
            .rposition(|event| event.process == asked.process && event.kind == Kind::Invoke)
            .unwrap_or(0);
        events[..question].iter().any(|event| {
            event.f == Function::CommitOffsets
                && event.kind == Kind::Ok
                && event.commits[0].offset > asked.commits[0].offset
        })
    });
}

#[test]
fn a_fenced_producer_may_not_be_read() {
    always_caught(Rule::ZombieWrite, |events| {
        let read = values_read(events);
        let at = events.iter().position(|event| {
            event.f == Function::Txn
                && event.kind == Kind::Invoke
                && event.sends.iter().any(|send| read.contains(&send.value))
        });
        let Some(at) = at else { return false };
        let Some(producer) = events[at].producer.clone() else {
            return false;
        };
        let time = events[at].time;
        let successor = Producer {
            epoch: producer.epoch + 1,
            ..producer
        };
        let mut answer = Event::new(100, time, Kind::Ok, Function::Init);
        answer.producer = Some(successor);
        events.insert(at, answer);
        events.insert(at, Event::new(100, time, Kind::Invoke, Function::Init));
        true
    });
}

#[test]
fn what_was_read_once_may_not_be_gone_later() {
    always_caught(Rule::ReadThenLost, |events| {
        let early: BTreeSet<u64> = events
            .iter()
            .filter(|event| event.process != FINAL_READER)
            .flat_map(|event| &event.reads)
            .map(|read| read.value)
            .collect();
        let Some(value) = early.first().copied() else {
            return false;
        };
        for event in events.iter_mut().filter(|event| event.process == FINAL_READER) {
            event.reads.retain(|read| read.value != value);
        }
        true
    });
}

#[test]
fn a_history_that_contradicts_itself_is_refused() {
    let mut events = history(1);
    events.insert(0, Event::new(50, 0, Kind::Ok, Function::Poll));
    assert!(judge(&events).has(Rule::BadHistory));

    let mut events = history(2);
    hide(&mut events, 0);
    let mut stranger = Event::new(60, 0, Kind::Ok, Function::Poll);
    stranger.reads.push(Read {
        partition: name(0),
        offset: 0,
        value: u64::MAX,
    });
    events.push(Event::new(60, 0, Kind::Invoke, Function::Poll));
    events.push(stranger);
    assert!(judge(&events).has(Rule::BadHistory));
}

#[test]
fn lines_read_back_as_they_were_written() {
    for event in history(3) {
        let line = serde_json::to_string(&event).expect("an event is plain data");
        let back: Event = serde_json::from_str(&line).expect("what was written can be read");
        assert_eq!(back, event);
    }
}
