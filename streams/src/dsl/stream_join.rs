//! Joins of a stream with another stream, over a window.

use std::sync::Arc;

use super::builder::supplier;
use super::operators::stream_join::layout::{Layout, Side};
use super::operators::stream_join::sided::MarkSide;
use super::operators::stream_join::{JoinSettings, StreamJoin};
use super::{Grouped, JoinWindows, KStream, StreamJoined};
use crate::serde::Data;
use crate::topology::TopologyError;

/// Whose records are given out without a partner.
#[derive(Clone, Copy)]
struct Outer {
    left: bool,
    right: bool,
}

impl<K: Data, V: Data> KStream<K, V> {
    /// Joins every pair of records of both streams with the same key whose timestamps are at most as far apart as the windows say.
    ///
    /// A result has the larger timestamp of both and the headers of the later to be read. Records with a null key or value are skipped and counted.
    /// Results come out at once, as soon as the second of a pair was read. Both streams need the same number of partitions; a side whose key was changed goes
    /// through a repartition topic. A stream may be joined with itself; each record then meets itself, too.
    ///
    /// ```
    /// use std::time::Duration;
    /// use millpond_streams::dsl::{JoinWindows, StreamJoined, StreamsBuilder};
    /// # use millpond_streams::testing::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let views = builder.stream::<String, String>("views");
    /// let clicks = builder.stream::<String, String>("clicks");
    /// views
    ///     .join(
    ///         &clicks,
    ///         |page, button| format!("{button} on {page}"),
    ///         JoinWindows::of_time_difference_with_no_grace(Duration::from_secs(10)),
    ///         StreamJoined::named("clicks-per-view"),
    ///     )
    ///     .to("joined");
    /// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let (views, clicks) = (driver.input::<String, String>("views"), driver.input::<String, String>("clicks"));
    /// driver.pipe(&views, "ann".into(), "home".into(), 0)?;
    /// driver.pipe(&clicks, "ann".into(), "buy".into(), 10_000)?;
    /// driver.pipe(&clicks, "ann".into(), "sell".into(), 10_001)?; // too late by a millisecond
    /// let joined = driver.output::<String, String>("joined");
    /// assert_eq!(driver.read_pairs(&joined)?, [("ann".to_owned(), "buy on home".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join<V2: Data, R: Data>(
        &self,
        other: &KStream<K, V2>,
        joiner: impl Fn(&V, &V2) -> R + Send + Sync + 'static,
        windows: JoinWindows,
        joined: StreamJoined<K, V, V2>,
    ) -> KStream<K, R> {
        self.join_with_key(other, move |_, left, right| joiner(left, right), windows, joined)
    }

    /// As [`join`](Self::join), with a joiner that sees the key.
    pub fn join_with_key<V2: Data, R: Data>(
        &self,
        other: &KStream<K, V2>,
        joiner: impl Fn(&K, &V, &V2) -> R + Send + Sync + 'static,
        windows: JoinWindows,
        joined: StreamJoined<K, V, V2>,
    ) -> KStream<K, R> {
        let joiner = move |key: &K, left: Option<&V>, right: Option<&V2>| Some(joiner(key, left?, right?));
        let outer = Outer {
            left: false,
            right: false,
        };
        self.join_streams(other, joiner, windows, joined, outer)
    }

    /// As [`join`](Self::join); records of this stream that meet none of the other come out alone, with `None`.
    ///
    /// They do so when their window and its grace are over, so never too early: a result without a partner is not followed by one with a partner as long as
    /// the other stream keeps to the grace (Kafka Streams since 3.1). What closes windows is the next record of either stream. Records with a null key meet
    /// nobody and come out alone at once (KIP-962).
    ///
    /// ```
    /// use std::time::Duration;
    /// use millpond_streams::dsl::{JoinWindows, StreamJoined, StreamsBuilder};
    /// # use millpond_streams::testing::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.stream::<String, String>("orders");
    /// let payments = builder.stream::<String, String>("payments");
    /// orders
    ///     .left_join(
    ///         &payments,
    ///         |order, payment| format!("{order}: {}", payment.map_or("not paid", String::as_str)),
    ///         JoinWindows::of_time_difference_with_no_grace(Duration::from_secs(60)).before(Duration::ZERO),
    ///         StreamJoined::named("payment-of-order"),
    ///     )
    ///     .to("checked");
    /// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let (orders, payments) = (driver.input::<String, String>("orders"), driver.input::<String, String>("payments"));
    /// driver.pipe(&orders, "1".into(), "lamp".into(), 0)?;
    /// driver.pipe(&orders, "2".into(), "sofa".into(), 1_000)?;
    /// driver.pipe(&payments, "2".into(), "card".into(), 30_000)?;
    /// driver.pipe(&orders, "3".into(), "bed".into(), 70_000)?;
    /// let checked = driver.output::<String, String>("checked");
    /// assert_eq!(driver.read_values(&checked)?, ["sofa: card", "lamp: not paid"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn left_join<V2: Data, R: Data>(
        &self,
        other: &KStream<K, V2>,
        joiner: impl Fn(&V, Option<&V2>) -> R + Send + Sync + 'static,
        windows: JoinWindows,
        joined: StreamJoined<K, V, V2>,
    ) -> KStream<K, R> {
        self.left_join_with_key(other, move |_, left, right| joiner(left, right), windows, joined)
    }

    /// As [`left_join`](Self::left_join), with a joiner that sees the key.
    pub fn left_join_with_key<V2: Data, R: Data>(
        &self,
        other: &KStream<K, V2>,
        joiner: impl Fn(&K, &V, Option<&V2>) -> R + Send + Sync + 'static,
        windows: JoinWindows,
        joined: StreamJoined<K, V, V2>,
    ) -> KStream<K, R> {
        let joiner = move |key: &K, left: Option<&V>, right: Option<&V2>| Some(joiner(key, left?, right));
        let outer = Outer {
            left: true,
            right: false,
        };
        self.join_streams(other, joiner, windows, joined, outer)
    }

    /// As [`left_join`](Self::left_join), for both streams: records of either that meet none of the other come out alone. The joiner never
    /// sees two `None`s.
    pub fn outer_join<V2: Data, R: Data>(
        &self,
        other: &KStream<K, V2>,
        joiner: impl Fn(Option<&V>, Option<&V2>) -> R + Send + Sync + 'static,
        windows: JoinWindows,
        joined: StreamJoined<K, V, V2>,
    ) -> KStream<K, R> {
        self.outer_join_with_key(other, move |_, left, right| joiner(left, right), windows, joined)
    }

    /// As [`outer_join`](Self::outer_join), with a joiner that sees the key.
    pub fn outer_join_with_key<V2: Data, R: Data>(
        &self,
        other: &KStream<K, V2>,
        joiner: impl Fn(&K, Option<&V>, Option<&V2>) -> R + Send + Sync + 'static,
        windows: JoinWindows,
        joined: StreamJoined<K, V, V2>,
    ) -> KStream<K, R> {
        let joiner = move |key: &K, left: Option<&V>, right: Option<&V2>| Some(joiner(key, left, right));
        let outer = Outer {
            left: true,
            right: true,
        };
        self.join_streams(other, joiner, windows, joined, outer)
    }

    fn join_streams<V2: Data, R: Data>(
        &self,
        other: &KStream<K, V2>,
        joiner: impl Fn(&K, Option<&V>, Option<&V2>) -> Option<R> + Send + Sync + 'static,
        windows: JoinWindows,
        joined: StreamJoined<K, V, V2>,
        outer: Outer,
    ) -> KStream<K, R> {
        let StreamJoined {
            name,
            key,
            left,
            right,
            partitions,
            logged,
        } = joined;
        let same_builder = Arc::ptr_eq(&self.graph, &other.graph);
        let mistake = windows.mistake().or_else(|| {
            (!same_builder).then(|| "the joined streams belong to different builders".to_owned())
        });
        if let Some(reason) = mistake {
            let node = name.clone();
            let error = TopologyError::InvalidOperator { node, reason };
            self.graph.lock().topology.report(error);
        }
        let is_self_join = same_builder && self.node == other.node;
        let left_input =
            self.partitioned_for_join(&format!("{name}-left"), &key, &left, partitions, outer.left);
        let right_input = match is_self_join {
            true => left_input,
            false if same_builder => {
                other.partitioned_for_join(&format!("{name}-right"), &key, &right, partitions, outer.right)
            }
            // The mistake is reported; any node will do.
            false => left_input,
        };
        if outer.left {
            self.graph.lock().keep_null_keys_above(left_input);
        }
        if outer.right {
            self.graph.lock().keep_null_keys_above(right_input);
        }
        let this = if outer.right {
            "-outer-this-join"
        } else {
            "-this-join"
        };
        let that = if outer.left {
            "-outer-other-join"
        } else {
            "-other-join"
        };
        let shared = if outer.right {
            "-outer-shared-join-store"
        } else {
            "-left-shared-join-store"
        };
        let has_waiting = outer.left || outer.right;
        let layout = Layout::of(&windows);
        let (left_store, right_store) = (format!("{name}{this}-store"), format!("{name}{that}-store"));
        let waiting_store = has_waiting.then(|| format!("{name}{shared}"));
        let mut specs = vec![
            layout.window_spec(&left_store, &windows, outer.left),
            layout.window_spec(&right_store, &windows, outer.right),
        ];
        specs.extend(
            waiting_store
                .as_ref()
                .map(|store| layout.waiting_spec(store, &windows)),
        );

        let mut graph = self.graph.lock();
        let common = graph
            .topology
            .sources_above(left_input)
            .intersection(&graph.topology.sources_above(right_input))
            .next()
            .is_some();
        let stores: Vec<String> = specs.iter().map(|spec| spec.name.clone()).collect();
        for mut spec in specs {
            spec.logged = logged;
            graph.topology.add_store(spec);
        }
        let settings = Arc::new(JoinSettings {
            key,
            left,
            right,
            windows,
            left_outer: outer.left,
            right_outer: outer.right,
            left_store,
            right_store,
            waiting_store,
            has_common_source: common,
        });
        let joiner = Arc::new(joiner);
        let mark = |side| supplier(move || MarkSide::<K, V, V2>::new(side));
        let left_node =
            graph
                .topology
                .add_processor(&format!("{name}{this}"), mark(Side::Left), &[left_input], &[]);
        let right_node =
            graph
                .topology
                .add_processor(&format!("{name}{that}"), mark(Side::Right), &[right_input], &[]);
        let make = supplier(move || StreamJoin::new(settings.clone(), joiner.clone()));
        let stores: Vec<&str> = stores.iter().map(String::as_str).collect();
        let merge = format!("{name}-merge");
        let node = graph
            .topology
            .add_processor(&merge, make, &[left_node, right_node], &stores);
        graph.topology.copartition(&[left_node, right_node]);
        drop(graph);
        KStream::new(self.graph.clone(), node, false)
    }

    /// The node to join from: behind a repartition topic if the key was changed.
    pub(super) fn partitioned_for_join(
        &self,
        name: &str,
        key: &crate::serde::SerdeRef<K>,
        value: &crate::serde::SerdeRef<V>,
        partitions: Option<i32>,
        keeps_null_keys: bool,
    ) -> crate::topology::NodeId {
        if !self.rekeyed {
            return self.node;
        }
        let mut grouped = Grouped::with(key.clone(), value.clone());
        grouped.partitions = partitions;
        self.through_repartition(name, &grouped, !keeps_null_keys).node
    }
}
