//! The job: windows with suppression behind a repartition topic, a stream-stream join, sessions told at their end, timers per key, a join with the past of a
//! versioned table, a join of tables, a foreign-key join, and an aggregate of a table.

use std::time::Duration;

use millpond_streams::dsl::{
    Consumed, EmitStrategy, JoinWindows, Joined, Materialized, SessionWindows, StreamJoined, StreamsBuilder,
    StrictBuffer, Suppressed, TimeWindows,
};
use millpond_streams::topology::Topology;

use super::generate::{customer_of, group_of, region_of};
use super::{GAP_MS, INPUTS, JOIN_MS, PARTITIONS, Plan, WINDOW_MS, timers};

/// Outputs whose records are compared one by one, as multisets: each tells a final result once.
pub(crate) const BAGS: [&str; 5] = ["window-counts", "pairs", "sessions", "buckets", "with-profile"];

/// Outputs that are updates: the last record of each key is compared.
pub(crate) const FOLDS: [&str; 3] = ["with-account", "with-customer", "regions"];

/// Key-value stores whose contents are compared.
pub(crate) const TABLES: [&str; 3] = ["customers", "accounts", "orders"];

/// Customers per region.
pub(crate) const REGIONS_STORE: &str = "customers-per-region";

fn ms(millis: i64) -> Duration {
    Duration::from_millis(millis.unsigned_abs())
}

/// All topics somebody must create, with their partitions.
pub(crate) fn topics(plan: &Plan) -> impl Iterator<Item = (String, i32)> {
    let inputs = INPUTS.iter().map(|name| ((*name).to_owned(), PARTITIONS));
    let outputs = BAGS.iter().chain(&FOLDS).map(|name| (plan.output(name), 1));
    inputs.chain(outputs)
}

/// Tasks with stores, over all partitions: each may lag behind its changelogs by what is configured.
pub(crate) fn stateful_tasks(topology: &Topology) -> usize {
    let stateful = topology
        .sub_topologies()
        .iter()
        .filter(|sub| !sub.stores().is_empty());
    stateful.count() * PARTITIONS as usize
}

pub(crate) fn topology(plan: &Plan) -> Topology {
    let (grace, grace_ms) = (plan.grace(), plan.grace_ms);
    let builder = StreamsBuilder::new();
    timers::add_stores(&builder);
    let clicks = builder.stream::<String, String>("clicks");
    let views = builder.stream::<String, String>("views");
    let history = Materialized::default().versioned(grace * 4 + Duration::from_secs(10));
    let profiles = builder.table_with::<String, String>("profiles", "profiles", Consumed::default(), history);

    clicks
        .select_key(|user, _| group_of(user))
        .group_by_key()
        .windowed_by(TimeWindows::of(ms(WINDOW_MS)).grace(grace))
        .count("click-counts")
        .suppress(
            "closed-counts",
            Suppressed::until_window_closes(StrictBuffer::unbounded()),
        )
        .updates()
        .map(|window, count| {
            (
                format!("{}@{}", window.key, window.window.start_ms),
                count.to_string(),
            )
        })
        .to(&plan.output("window-counts"));
    clicks
        .left_join(
            &views,
            |click, view: Option<&String>| format!("{click}|{}", view.map_or("-", String::as_str)),
            JoinWindows::of_time_difference_and_grace(ms(JOIN_MS), grace),
            StreamJoined::named("clicks-on-views"),
        )
        .to(&plan.output("pairs"));
    clicks
        .process(move || timers::Buckets::new(grace_ms), &timers::STORES)
        .to(&plan.output("buckets"));
    clicks
        .group_by_key()
        .windowed_by(SessionWindows::with_inactivity_gap(ms(GAP_MS)).grace(grace))
        .emit_strategy(EmitStrategy::on_window_close())
        .count("click-sessions")
        .updates()
        .map(|session, count| {
            let (start, end) = (session.window.start_ms, session.window.end_ms);
            (format!("{}@{start}-{end}", session.key), count.to_string())
        })
        .to(&plan.output("sessions"));
    views
        .join_table(
            &profiles,
            |view, profile| format!("{view}|{profile}"),
            Joined::named("views-with-profile").grace(grace),
        )
        .to(&plan.output("with-profile"));

    // Every update is passed on: a foreign-key join sees each change by itself.
    let every = || Materialized::default().emit_every_update(true);
    let customers =
        builder.table_with::<String, String>("customers", "customers", Consumed::default(), every());
    let accounts = builder.table::<String, String>("accounts", "accounts");
    let orders = builder.table_with::<String, String>("orders", "orders", Consumed::default(), every());
    customers
        .left_join(&accounts, |customer, account: Option<&String>| {
            format!("{customer}|{}", account.map_or("-", String::as_str))
        })
        .to_stream()
        .to(&plan.output("with-account"));
    orders
        .foreign_key_join(
            "orders-of-customers",
            &customers,
            |_, order| customer_of(order),
            |order, customer| format!("{order}|{customer}"),
        )
        .to_stream()
        .to(&plan.output("with-customer"));
    customers
        .group_by(|_, customer: String| (region_of(&customer), customer))
        .count(REGIONS_STORE)
        .updates()
        .map_values(|count| count.to_string())
        .to(&plan.output("regions"));
    builder.build().expect("a sound topology")
}
