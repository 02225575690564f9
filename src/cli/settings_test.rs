//! Which of several places a setting is taken from.

use super::*;

fn args(brokers: Option<&str>, overrides: &[&str]) -> ClusterArgs {
    ClusterArgs {
        brokers: brokers.map(str::to_owned),
        profile: None,
        overrides: overrides.iter().map(|text| (*text).to_owned()).collect(),
        properties: None,
    }
}

#[test]
fn a_flag_wins_over_an_override_and_both_are_remembered() {
    let settings =
        Settings::resolve(&args(Some("a:1"), &["bootstrap.servers=b:2", "linger.ms=5"])).expect("valid");
    assert_eq!(settings.get(BROKERS).value, "a:1");
    assert_eq!(settings.get(BROKERS).origin.to_string(), "flag --brokers");
    assert_eq!(settings.find("linger.ms"), Some("5"));
    assert_eq!(settings.all()["linger.ms"].origin, Origin::Override);
}

#[test]
fn an_unknown_override_is_refused_with_the_near_miss() {
    let refused = Settings::resolve(&args(None, &["linger.mss=5"])).expect_err("no such setting");
    let failure = refused.downcast_ref::<Failure>().expect("a failure of ours");
    assert!(failure.to_string().starts_with("linger.mss=5: "), "{failure}");
    let mut stderr = Vec::new();
    super::super::failure::exit_code(Err(refused), super::super::failure::ErrorStyle::Text, &mut stderr);
    let stderr = String::from_utf8(stderr).expect("UTF-8");
    assert!(stderr.contains("hint: did you mean linger.ms?"), "{stderr}");
}

#[test]
fn values_out_of_range_and_tls_are_refused() {
    for wrong in [
        "acks=many",
        "request.timeout.ms=soon",
        "security.protocol=ssl",
        "no-equals-sign",
    ] {
        assert!(Settings::resolve(&args(None, &[wrong])).is_err(), "{wrong}");
    }
}

#[test]
fn every_name_that_is_listed_is_taken() {
    for (name, _) in PASSED_ON {
        let unknown = ClientConfig::new()
            .set(name, "1")
            .create_native_config()
            .err()
            .map(|error| error.to_string());
        assert!(
            !unknown.as_deref().unwrap_or_default().contains("No such"),
            "{name}: {unknown:?}"
        );
    }
}
