//! Settings from a file, variables and flags.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: StartArgs,
}

fn args(line: &[&str]) -> StartArgs {
    Line::parse_from(std::iter::once(&"start").chain(line)).args
}

#[test]
fn without_settings_the_listener_is_on_loopback() {
    let settings = resolve(&args(&[])).unwrap();
    assert_eq!(settings.server.listen.to_string(), DEFAULT_KAFKA);
    assert!(settings.server.listen.ip().is_loopback());
    assert_eq!(settings.data, PathBuf::from(DEFAULT_DATA));
}

#[test]
fn flags_win_over_the_file_and_tables_spell_dotted_names() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("millpond.toml");
    std::fs::write(
        &path,
        "data = \"/from/file\"\nkafka = \"127.0.0.1:1111\"\nnum.partitions = 8\n[log]\nretention.ms = 5\n",
    )
    .unwrap();
    let path = path.display().to_string();
    let settings = resolve(&args(&[
        "--config",
        &path,
        "--kafka",
        "127.0.0.1:2222",
        "-X",
        "num.partitions=3",
    ]))
    .unwrap();
    assert_eq!(settings.server.listen.port(), 2222);
    assert_eq!(settings.data, PathBuf::from("/from/file"));
    assert_eq!(settings.broker.num_partitions, 3);
    assert_eq!(settings.broker.topic_defaults.log.retention_ms, 5);
}

#[test]
fn an_unknown_key_names_its_place_and_the_nearest_key() {
    let mut broker = BrokerConfig::default();
    let wrong = read_file("num.partitoins = 3", "node.toml", &mut broker)
        .unwrap_err()
        .to_string();
    assert!(
        wrong.starts_with("node.toml: ") && wrong.contains("num.partitions"),
        "{wrong}"
    );
    let variables = [("MILLPOND_NUM_PARTITOINS".to_owned(), "3".to_owned())];
    let wrong = read_variables(variables.into_iter(), &mut broker)
        .unwrap_err()
        .to_string();
    assert!(wrong.starts_with("variable MILLPOND_NUM_PARTITOINS: "), "{wrong}");
}

#[test]
fn variables_spell_dots_as_underscores() {
    let mut broker = BrokerConfig::default();
    let variables = [
        ("MILLPOND_LOG_RETENTION_MS", "7"),
        ("MILLPOND_LOG", "debug"),
        ("MILLPOND_BROKERS", "b1:9092"),
        ("MILLPOND_SSL_CA_LOCATION", "/etc/ca.pem"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    read_variables(variables.into_iter(), &mut broker).unwrap();
    assert_eq!(broker.topic_defaults.log.retention_ms, 7);
}

#[test]
fn advertised_addresses_may_carry_kafkas_scheme() {
    assert_eq!(
        host_and_port("PLAINTEXT://b1:9092").unwrap(),
        ("b1".to_owned(), 9092)
    );
    assert_eq!(host_and_port("[::1]:9092").unwrap(), ("::1".to_owned(), 9092));
    assert!(host_and_port("b1").is_err());
}
