//! What `millpond start` prints once it serves.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use millpond::log::storage::Durability;

/// The facts.
pub(super) struct Banner<'a> {
    pub(super) data: &'a Path,
    pub(super) is_new: bool,
    /// What topics get that do not say otherwise.
    pub(super) durability: Durability,
    pub(super) node_id: i32,
    pub(super) kafka: SocketAddr,
    pub(super) http: Option<SocketAddr>,
    pub(super) took: Duration,
}

impl Banner<'_> {
    /// The block for people, or the one line for programs.
    pub(super) fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        if std::io::stdout().is_terminal() {
            self.write_for_people(out)
        } else {
            self.write_for_programs(out)
        }
    }

    fn write_for_programs(&self, out: &mut dyn Write) -> std::io::Result<()> {
        write!(out, "ready kafka={}", self.kafka)?;
        if let Some(http) = self.http {
            write!(out, " http={http}")?;
        }
        writeln!(out)
    }

    fn write_for_people(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let (version, node, data) = (env!("CARGO_PKG_VERSION"), self.node_id, self.data.display());
        let is_new = if self.is_new { " (new)" } else { "" };
        let kafka = self.kafka.to_string();
        let durable = match self.durability {
            Durability::Fsync => "on",
            Durability::PageCache => "off (log.durability=page-cache)",
        };
        writeln!(
            out,
            "millpond {version} · node {node} · data {data}{is_new} · durable writes {durable}"
        )?;
        writeln!(out, "  kafka     {kafka:<18}  kcat -b {kafka} -L")?;
        if let Some(http) = self.http {
            writeln!(
                out,
                "  metrics   {:<18}  curl http://{http}/metrics",
                http.to_string()
            )?;
        }
        writeln!(
            out,
            "ready in {} ms · Ctrl-C stops, data stays",
            self.took.as_millis()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_one_line_and_people_a_block() {
        let banner = Banner {
            data: Path::new("./millpond-data"),
            is_new: true,
            durability: Durability::PageCache,
            node_id: 1,
            kafka: "127.0.0.1:9092".parse().expect("an address"),
            http: Some("127.0.0.1:8088".parse().expect("an address")),
            took: Duration::from_millis(84),
        };
        let (mut line, mut block) = (Vec::new(), Vec::new());
        banner
            .write_for_programs(&mut line)
            .expect("a vector takes every write");
        banner
            .write_for_people(&mut block)
            .expect("a vector takes every write");
        assert_eq!(line, b"ready kafka=127.0.0.1:9092 http=127.0.0.1:8088\n");
        let block = String::from_utf8(block).expect("UTF-8");
        assert!(
            block.contains("durable writes off"),
            "only what holds is said: {block}"
        );
        assert!(
            block.contains("data ./millpond-data (new)")
                && block.ends_with("ready in 84 ms · Ctrl-C stops, data stays\n")
        );
    }
}
