//! `docs/streams.md` says what is there: every test it names, every file it links, every default of the settings, every text it shows as output.
//!
//! Its Rust blocks are doc tests of the crate (`src/lib.rs`).

use std::collections::BTreeMap;
use std::fs::read_to_string;
use std::path::{Path, PathBuf};
use std::time::Duration;

use millpond_log::client::{Producer, ProducerOptions, ProducerRecord};
use millpond_streams::dsl::{StreamsBuilder, TimeWindows};
use millpond_streams::runtime::{Streams, StreamsConfig};
use millpond_streams::topology::Topology;

use super::support::{Node, PATIENCE, topic};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    read_to_string(root().join("docs/streams.md")).expect("the page")
}

/// The links of a page as (text, target), without those to other hosts.
fn links(page: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for (place, _) in page.match_indices("](") {
        let text = page[..place].rsplit('[').next().unwrap_or_default();
        let target = page[place + 2..].split(')').next().unwrap_or_default();
        if !target.contains("://") {
            found.push((text, target));
        }
    }
    found
}

#[test]
fn every_test_the_page_names_is_there() {
    let page = page();
    let mut named = 0;
    for (text, target) in links(&page) {
        let name = text.trim_matches('`');
        let is_test = text.starts_with('`') && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        if !is_test {
            continue;
        }
        let source = read_to_string(root().join("docs").join(target)).expect(target);
        // A drawn test is declared in a macro, any other with its attribute in front: the name is enough of a sign.
        assert!(
            source.contains(&format!("fn {name}(")),
            "{target} has no test {name}"
        );
        named += 1;
    }
    assert!(named > 90, "only {named} tests are named");
}

#[test]
fn every_link_of_the_pages_leads_to_a_file() {
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "docs/streams.md",
        "docs/reliability.md",
        "docs/benchmarks.md",
        "docs/compare.md",
    ] {
        let path = root().join(name);
        let page = read_to_string(&path).expect(name);
        for (text, target) in links(&page) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let linked = match file {
                "" => path.clone(),
                file => path.parent().expect("a folder").join(file),
            };
            assert!(
                linked.exists(),
                "{name}: [{text}] leads to {target}, which is not there"
            );
            if linked.extension().is_some_and(|end| end == "md") && !anchor.is_empty() {
                let linked = read_to_string(&linked).expect("a page");
                assert!(
                    anchors(&linked).contains(&anchor.to_owned()),
                    "{name}: no heading for {target}"
                );
            }
        }
    }
}

/// What the headings of a page are linked by.
fn anchors(page: &str) -> Vec<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text
            .chars()
            .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-');
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn the_table_of_settings_has_every_setting_with_its_default() {
    let page = page();
    let rows: BTreeMap<&str, &str> = page
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            Some((cells.next()?.strip_suffix('`')?, cells.next()?))
        })
        .collect();
    let mut group = String::new();
    for line in format!("{:#?}", StreamsConfig::default()).lines().skip(1) {
        let Some((name, value)) = line.trim().trim_end_matches(',').split_once(": ") else {
            group.clear();
            continue;
        };
        if value.ends_with('{') {
            group = format!("{name}.");
            continue;
        }
        let name = format!("{group}{name}");
        let value = readable(&name, value);
        assert_eq!(
            rows.get(name.as_str()),
            Some(&value.as_str()),
            "the row of {name}"
        );
    }
}

/// A default as the table writes it: bytes in the largest unit that fits, a space before the unit of a time.
fn readable(name: &str, value: &str) -> String {
    const UNITS: [(&str, u64); 2] = [("MiB", 1 << 20), ("KiB", 1 << 10)];
    if let Ok(bytes) = value.parse::<u64>() {
        let unit = UNITS
            .iter()
            .find(|(_, size)| name.contains("bytes") && bytes % size == 0);
        return unit.map_or(value.to_owned(), |(unit, size)| {
            format!("{} {unit}", bytes / size)
        });
    }
    match value.find(|c: char| !c.is_ascii_digit()) {
        Some(end) if end > 0 => format!("{} {}", &value[..end], &value[end..]),
        _ => value.to_owned(),
    }
}

fn words() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<(), String>("lines")
        .flat_map_values(|line| line.split(' ').map(str::to_lowercase).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count("words")
        .updates()
        .to("counts");
    builder.build().expect("a sound topology")
}

/// The two versions of the page's example.
fn version(number: u32) -> Topology {
    let builder = StreamsBuilder::new();
    let orders = builder.stream::<String, i64>("orders");
    let orders = if number > 1 {
        orders.filter(|_, amount| *amount > 0)
    } else {
        orders
    };
    orders.group_by_key().count("orders-per-shop");
    let minutes = if number > 1 { 10 } else { 5 };
    let windows = TimeWindows::of(Duration::from_mins(minutes));
    orders
        .group_by_key()
        .windowed_by(windows)
        .reduce("recent-turnover", |sum, amount| sum + amount);
    builder.build().expect("a sound topology")
}

#[test]
fn the_description_on_the_page_is_that_of_its_example() {
    let description = words().describe();
    assert!(
        page().contains(description.trim_end()),
        "the page must show\n{description}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dry_run_on_the_page_is_what_one_says() {
    let node = Node::start().await;
    node.create("orders", 2).await;
    let launcher = |topology| {
        Streams::builder(topology)
            .application_id("shops")
            .embedded(&node.broker)
            .state_dir(&node.state_dir)
    };
    let orders = topic("orders");
    let producer = Producer::new(&node.broker, ProducerOptions::default())
        .await
        .expect("a producer");
    for amount in [20_i64, 30] {
        let order = ProducerRecord::new(&orders).key("corner").timestamp(1_000);
        let order = order.value(amount.to_be_bytes().to_vec());
        let delivery = producer.send(order).await.expect("it is sent");
        delivery.await.expect("it is durable");
    }
    let first = launcher(version(1)).run().await.expect("it starts");
    first.wait_until_caught_up().await.expect("it catches up");
    first.shutdown(PATIENCE).await.expect("it ends");
    let said = launcher(version(2))
        .dry_run()
        .await
        .expect("it can be asked")
        .to_string();
    assert!(page().contains(said.trim_end()), "the page must show\n{said}");
    node.broker.shutdown().await.expect("a clean end");
}
