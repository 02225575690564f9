//! The list of addresses a user writes, read and refused.

use super::{Address, BadAddress};

fn parsed(text: &str) -> Vec<String> {
    let addresses = Address::parse_list(text).expect("addresses");
    addresses.iter().map(ToString::to_string).collect()
}

#[test]
fn hosts_ports_schemes_and_brackets_are_understood() {
    assert_eq!(parsed("localhost:19092"), ["localhost:19092"]);
    assert_eq!(parsed("a, PLAINTEXT://b:1 ,,c:2"), ["a:9092", "b:1", "c:2"]);
    assert_eq!(
        parsed("[::1]:9093,[::1],fe80::1"),
        ["[::1]:9093", "[::1]:9092", "[fe80::1]:9092"]
    );
}

#[test]
fn what_names_no_broker_is_refused_with_the_text() {
    assert_eq!(Address::parse_list(" , "), Err(BadAddress::Empty));
    for text in [
        "host:",
        "host:0",
        "host:70000",
        ":9092",
        "[::1",
        "[::1]9092",
        "http://x:1",
        "a/b:1",
    ] {
        let refused = Address::parse_list(text).expect_err(text);
        assert_eq!(refused, BadAddress::NotAnAddress(text.to_owned()));
    }
}

#[test]
fn listeners_with_tls_or_sasl_are_refused_by_name() {
    for (text, what) in [
        ("SSL://a:1", "TLS"),
        ("SASL_PLAINTEXT://a:1", "SASL"),
        ("sasl_ssl://a:1", "TLS and SASL"),
    ] {
        let refused = Address::parse_list(text).expect_err(text);
        assert_eq!(refused, BadAddress::Secured(text.to_owned(), what));
        assert!(refused.to_string().contains("plaintext only"), "{refused}");
    }
}
