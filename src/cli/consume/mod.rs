//! `millpond consume`: print records, from anywhere to anywhere.
//!
//! What is always true: without `-g` nothing is left behind in the cluster, and the bounds of `-o` are exact; with `-g` offsets are committed
//! for what was printed and nothing else. `plain.rs` and `grouped.rs` are the two ways, `print.rs` is what they share.

mod grouped;
mod plain;
mod print;

use std::io::Write;

use clap::Args;

use super::document::{DocumentFormat, OutputArgs};
use super::failure::Failure;
use super::settings::ClusterArgs;
use super::topic::names::TopicNames;

pub(crate) use self::print::SHAPE;

/// Print records of topics
///
/// Reads from the start, or from -o, to the end as it is when the command starts; --follow goes on. Prints one JSON object a line, or what -f says.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond consume orders -n 1
  millpond consume orders -o end                       what comes from now on
  millpond consume orders -o -10 -p 0 -f '%o %k %v\\n'
  millpond consume orders -o @-1h --grep '\"status\":\"failed\"'
  millpond consume orders -o @2022-02-14:1h --format json > valentine.jsonl
  millpond consume -r 'order.*' --follow -f '%t/%p/%o %d{strftime[%T]} %v\\n'
  millpond consume orders -g payments --follow          as a member of a group

`millpond help offsets` and `millpond help templates` tell all about -o and -f.")]
pub(crate) struct ConsumeArgs {
    #[command(flatten)]
    names: TopicNames,

    /// From where to where: start, end, -10, @-1h, 5:10 …
    #[arg(
        short = 'o',
        long = "offset",
        value_name = "OFFSET",
        allow_hyphen_values = true
    )]
    offset: Option<String>,

    /// Stop after so many records
    #[arg(short = 'n', long = "num", aliases = ["max-messages", "count"], value_name = "N")]
    count: Option<u64>,

    /// How a record is printed, e.g. '%k %v\n'
    #[arg(short = 'f', long = "template", value_name = "TEMPLATE")]
    template: Option<String>,

    /// Only these partitions
    #[arg(
        short = 'p',
        long = "partitions",
        alias = "partition",
        value_name = "N,…",
        value_delimiter = ',',
        conflicts_with = "group"
    )]
    partitions: Vec<i32>,

    /// Read as a member of this group, and commit what was printed
    #[arg(short = 'g', long = "group", value_name = "GROUP")]
    group: Option<String>,

    /// Only records whose key, value or a header matches this
    #[arg(long, value_name = "RE")]
    grep: Option<String>,

    /// Wait for more at the end
    #[arg(long)]
    follow: bool,

    /// Also records of transactions that are open or were aborted
    #[arg(long)]
    read_uncommitted: bool,

    /// Also the markers that end transactions
    #[arg(long, conflicts_with = "group")]
    print_control: bool,

    /// json (default), text (values), awk (tab-separated) or help
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "FORMAT",
        conflicts_with = "template"
    )]
    format: Option<DocumentFormat>,

    /// Kafka's way to say -o start
    #[arg(long, hide = true, conflicts_with = "offset")]
    from_beginning: bool,

    #[command(flatten)]
    cluster: ClusterArgs,
}

impl ConsumeArgs {
    /// What the verb is told about the cluster.
    pub(super) fn cluster(&self) -> &ClusterArgs {
        &self.cluster
    }

    /// The format, as far as it was asked for: errors are JSON only for who said so.
    pub(super) fn output(&self) -> OutputArgs {
        OutputArgs {
            format: self.format.unwrap_or_default(),
            raw: true,
        }
    }

    /// Whether the command tidies up after Ctrl-C by itself.
    pub(super) fn handles_interrupt(&self) -> bool {
        self.group.is_some()
    }

    fn grep(&self) -> Result<Option<regex::bytes::Regex>, Failure> {
        let Some(pattern) = &self.grep else {
            return Ok(None);
        };
        regex::bytes::Regex::new(pattern).map(Some).map_err(|error| {
            Failure::usage(format!(
                "--grep {pattern}: {}",
                error.to_string().lines().last().unwrap_or_default()
            ))
            .hint("the syntax is that of Rust's regex crate, close to Perl's")
        })
    }
}

/// Runs the command.
pub(crate) async fn run(args: ConsumeArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut printer = print::Printer::new(args.template.as_deref(), args.format, args.grep()?, args.count)?;
    if args.names.is_empty() {
        return Err(Failure::usage("no topic is named")
            .hint("name topics, or choose them by -r RE")
            .into());
    }
    if args.count == Some(0) {
        return Ok(());
    }
    match &args.group {
        Some(group) => grouped::run(&args, group, &mut printer, out).await,
        None => plain::run(&args, &mut printer, out).await,
    }
}
