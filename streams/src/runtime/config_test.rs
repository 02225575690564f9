//! Settings that cannot work together are refused by their names.

use super::*;

fn refused(config: StreamsConfig) -> String {
    config.validate().expect_err("these cannot work").to_string()
}

#[test]
fn the_defaults_are_usable() {
    assert_eq!(StreamsConfig::default().validate(), Ok(()));
}

#[test]
fn a_step_may_not_outlast_its_transaction() {
    let config = StreamsConfig {
        delivery_timeout: Duration::from_secs(60),
        transaction_timeout: Duration::from_secs(60),
        ..StreamsConfig::default()
    };
    let error = refused(config.clone());
    assert!(
        error.starts_with("delivery_timeout: 60s is not below transaction_timeout (60s)"),
        "{error}"
    );
    let at_least_once = StreamsConfig {
        exactly_once: false,
        ..config
    };
    assert_eq!(
        at_least_once.validate(),
        Ok(()),
        "without transactions there is none to outlast"
    );
}

#[test]
fn a_transaction_must_be_due_before_it_times_out() {
    let error = refused(StreamsConfig {
        commit_interval: Duration::from_secs(90),
        ..StreamsConfig::default()
    });
    assert!(
        error.starts_with("commit_interval: 90s is not below transaction_timeout"),
        "{error}"
    );
}

#[test]
fn an_application_needs_a_worker() {
    let error = refused(StreamsConfig {
        workers: 0,
        ..StreamsConfig::default()
    });
    assert_eq!(error, "workers: must be at least 1");
}
