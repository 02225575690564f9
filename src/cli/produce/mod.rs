//! `millpond produce`: lines, or whatever a template cuts, as records.
//!
//! What is always true: the topic is looked up first, so that a slip of the pen creates no topic; what was read is delivered before the command ends, also
//! after Ctrl-C (with `--txn` it is aborted then); every record that was not delivered is counted, and one is enough for exit code 1.
//! `input.rs` reads, `deliver.rs` sends.

mod deliver;
mod input;

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use self::input::Source;
use super::document::{Column, Kind, OutputArgs, Shape, TableShape};
use super::failure::Failure;
use super::interrupt::Interrupt;
use super::settings::ClusterArgs;
use super::topic::names::the_topic;
use super::wire::Client;

/// Write records to a topic, one a line or as a template cuts them
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  echo hello | millpond produce greetings
  millpond produce orders -f '%k %v\\n' < pairs.txt
  millpond produce orders -k 42 -H source=cli -z zstd < order.json
  millpond produce events -f '%v{json}\\n' --txn < events.jsonl      all or nothing
  millpond consume orders | millpond produce copy -f json           a copy with keys, headers and times
  printf '42\\n' | millpond produce prices -f '%k\\n' --tombstone      delete a key of a compacted topic

`millpond help templates` tells all about -f.")]
pub(crate) struct ProduceArgs {
    /// The topic; not needed if the template has %t
    #[arg(value_name = "TOPIC")]
    topic: Option<String>,

    /// How the input is cut into records; json reads what consume writes
    #[arg(
        short = 'f',
        long = "template",
        value_name = "TEMPLATE",
        default_value = "%v\\n"
    )]
    template: String,

    /// Key of all records
    #[arg(short = 'k', long, value_name = "KEY")]
    key: Option<String>,

    /// A header of all records
    #[arg(short = 'H', long = "header", value_name = "KEY=VALUE")]
    headers: Vec<String>,

    /// The partition; without it the key chooses
    #[arg(short = 'p', long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,

    /// none, gzip, snappy, lz4 or zstd
    #[arg(
        short = 'z',
        long = "compression",
        alias = "compression-codec",
        value_name = "CODEC"
    )]
    compression: Option<String>,

    /// All of the input in one transaction, or none of it
    #[arg(long, value_name = "ID", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    txn: Option<String>,

    /// Empty values become null, which deletes keys from compacted topics
    #[arg(short = 'Z', long)]
    tombstone: bool,

    /// Read a file instead of stdin
    #[arg(short = 'i', long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// Let the broker create the topic if there is none
    #[arg(long)]
    create: bool,

    /// Kafka's way to name the topic
    #[arg(long = "topic", value_name = "TOPIC", hide = true, conflicts_with = "topic")]
    kafka_topic: Option<String>,

    /// Kafka's way to say that lines have keys
    #[arg(
        long = "property",
        alias = "reader-property",
        value_name = "KEY=VALUE",
        hide = true
    )]
    properties: Vec<String>,

    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// The shape of a delivered record; JSON is one object a line.
pub(crate) static SHAPE: Shape = Shape {
    kind: "delivery (one object a line, without kind and version)",
    tables: &[TableShape {
        name: "",
        columns: &[
            Column("topic", Kind::Text, "where it lies"),
            Column("partition", Kind::Count, "number"),
            Column("offset", Kind::Count, "its place; null if it was not delivered"),
            Column("error", Kind::Text, "why it was not delivered"),
        ],
    }],
};

impl ProduceArgs {
    /// What the verb is told about cluster and output.
    pub(super) fn flags(&self) -> super::verbs::Flags<'_> {
        super::verbs::Flags::new(&self.cluster, &self.output, &SHAPE)
    }

    /// The template, in our language, also where Kafka's properties describe the lines.
    fn template(&self) -> String {
        let property = |name: &str| {
            let mut pairs = self.properties.iter().filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        if property("parse.key") == Some("true") {
            let separator = property("key.separator").unwrap_or("\\t").replace('%', "%%");
            return format!("%k{separator}%v\\n");
        }
        self.template.clone()
    }
}

/// Runs the command.
pub(crate) async fn run(args: ProduceArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let topic = args.topic.as_ref().or(args.kafka_topic.as_ref());
    let source = Source::parse(&args.template())?;
    if topic.is_none() && !source.names_topics() {
        return Err(Failure::usage("no topic is named")
            .hint("name one, or put %t into the template")
            .into());
    }
    let headers = args
        .headers
        .iter()
        .map(|header| {
            let (key, value) = header.split_once('=').ok_or_else(|| {
                Failure::usage(format!("-H {header}: not of the form KEY=VALUE"))
                    .hint("for example -H source=cli")
            })?;
            Ok((key.to_owned(), Some(value.as_bytes().to_vec())))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let interrupt = Interrupt::listen();
    let mut client = Client::connect(&args.cluster).await?;
    if let Some(topic) = topic
        && !args.create
    {
        let topic = the_topic(&mut client, topic).await?;
        let count = topic.partitions.len();
        if let Some(partition) = args
            .partition
            .filter(|partition| usize::try_from(*partition).is_ok_and(|p| p >= count))
        {
            return Err(
                Failure::failed(format!("topic {} has no partition {partition}", topic.name))
                    .hint(format!("there are {count}, counted from 0"))
                    .into(),
            );
        }
    }
    let mut config = client.settings().client_config();
    if client.settings().find("partitioner").is_none() {
        // Where Java's producers put a key; librdkafka's own default is another place.
        config.set("partitioner", "murmur2_random");
    }
    if let Some(codec) = &args.compression {
        config.set("compression.type", codec);
    }
    if let Some(id) = &args.txn {
        let id = match (id.as_str(), client.settings().find("transactional.id")) {
            ("", Some(id)) => id.to_owned(),
            ("", None) => format!("millpond-produce-{}", std::process::id()),
            (id, _) => id.to_owned(),
        };
        config.set("transactional.id", id);
        if client.settings().find("transaction.timeout.ms").is_none() {
            // As long as brokers allow by default: the input may be typed by hand.
            config
                .set("transaction.timeout.ms", "900000")
                .set("message.timeout.ms", "300000");
        }
    }
    let job = deliver::Job {
        topic: topic.cloned(),
        key: args.key.clone().map(String::into_bytes),
        headers,
        partition: args.partition,
        tombstone: args.tombstone,
        transactional: args.txn.is_some(),
        output: args.output,
        known: (!args.create).then(|| topic.cloned()),
    };
    deliver::run(
        job,
        &config,
        input::start(source, args.input)?,
        &mut client,
        &interrupt,
        out,
    )
    .await
}
