//! Embedded clients: what users of the library hold. Producer, consumer, admin, each on top of a [`Broker`](crate::broker::Broker).
//!
//! They share Kafka's words and defaults where those help, and its rules where those matter: records of one key keep their order, a
//! transaction is all or nothing, a committed reader sees no aborted record. Errors are [`BrokerError`](crate::broker::BrokerError): ask
//! `kind()` what to do. Dropping a client never blocks. Deliberately absent: sockets, group membership.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use futures::StreamExt;
//! use millpond_log::broker::{Broker, BrokerOptions};
//! use millpond_log::client::{Admin, Consumer, ConsumerOptions, Producer, ProducerOptions, ProducerRecord};
//!
//! let dir = tempfile::tempdir()?;
//! let broker = Broker::start(BrokerOptions::at(dir.path())).await?;
//! let topic = Admin::new(&broker).create_topic("greetings", 1).await?.name;
//!
//! let producer = Producer::new(&broker, ProducerOptions::default()).await?;
//! let delivery = producer.send(ProducerRecord::new(&topic).key("en").value("hello")).await?;
//! assert_eq!(delivery.await?.offset.get(), 0);
//!
//! let mut consumer = Consumer::new(&broker, ConsumerOptions::default());
//! consumer.assign_topic(&topic).await?;
//! let record = consumer.next().await.expect("the stream has no end")?;
//! assert_eq!(record.record.value.as_deref(), Some(&b"hello"[..]));
//! broker.shutdown().await?;
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! Where to look next: `producer.rs` and `consumer.rs` for the handles; `accumulator.rs` and `sender.rs` for how batches form and leave;
//! `committed.rs` for what a committed reader filters out.

mod accumulator;
mod admin;
mod committed;
mod consumer;
mod consumer_fetch;
mod consumer_options;
mod delivery;
mod partitioner;
mod producer;
mod producer_options;
mod producer_record;
mod producer_txn;
mod read_to_end;
mod sender;

pub use admin::Admin;
pub use consumer::{Consumer, ConsumerRecord};
pub use consumer_options::{ConsumerOptions, OffsetReset};
pub use delivery::{Delivery, RecordMetadata};
pub use partitioner::{murmur2, partition_for_key};
pub use producer::Producer;
pub use producer_options::ProducerOptions;
pub use producer_record::ProducerRecord;

#[cfg(test)]
mod client_test;
