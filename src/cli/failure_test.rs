//! Exit codes and the two lines on stderr.

use anyhow::Context;

use super::*;

fn ended(outcome: anyhow::Result<()>) -> (ExitCode, String) {
    let mut stderr = Vec::new();
    let code = exit_code(outcome, ErrorStyle::Text, &mut stderr);
    (code, String::from_utf8(stderr).expect("messages are UTF-8"))
}

#[test]
fn a_reader_that_went_away_is_success_and_says_nothing() {
    let gone = std::io::Error::from(ErrorKind::BrokenPipe);
    let (code, stderr) = ended(Err(gone).context("cannot write the table"));
    assert_eq!(
        (format!("{code:?}"), stderr.as_str()),
        (format!("{:?}", ExitCode::SUCCESS), "")
    );
}

#[test]
fn hint_and_exit_code_survive_added_context() {
    let failure = Failure::usage("no such column `orign`").hint("did you mean `origin`?");
    let (code, stderr) = ended(Err(failure).context("statement 2"));
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(2)));
    assert_eq!(
        stderr,
        "error: statement 2: no such column `orign`\nhint: did you mean `origin`?\n"
    );
}

#[test]
fn an_error_without_a_failure_in_its_chain_ends_with_1() {
    let (code, stderr) = ended(Err(anyhow::anyhow!("disk on fire")));
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(1)));
    assert_eq!(stderr, "error: disk on fire\n");
}

#[test]
fn a_cause_that_its_error_repeats_is_said_once() {
    let cause = std::io::Error::other("disk on fire");
    let error = anyhow::Error::new(cause)
        .context("cannot append: disk on fire")
        .context("cannot load");
    let (_, stderr) = ended(Err(error));
    assert_eq!(stderr, "error: cannot load: cannot append: disk on fire\n");
}

#[cfg(feature = "sql")]
#[test]
fn as_json_an_error_is_one_object_on_one_line_with_all_its_fields() {
    let failure = Failure::usage("-X a: not of the form KEY=VALUE").hint("write\nKEY=VALUE");
    let mut stderr = Vec::new();
    let code = exit_code(Err(failure.into()), ErrorStyle::SqlJson, &mut stderr);
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(2)));
    let text = String::from_utf8(stderr).expect("messages are UTF-8");
    assert_eq!(text.lines().count(), 1, "{text}");
    let wanted = serde_json::json!({"error": {
        "kind": "usage", "message": "-X a: not of the form KEY=VALUE", "line": null, "column": null, "detail": null,
        "hint": "write\nKEY=VALUE",
    }});
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), wanted);
}

#[test]
fn as_json_an_error_of_a_cluster_tells_kafkas_code_and_whether_to_try_again() {
    let failure = Failure::failed("topic orders: UNKNOWN_TOPIC_OR_PARTITION").facts([
        ("code", Value::from("UNKNOWN_TOPIC_OR_PARTITION")),
        ("retriable", Value::from(false)),
    ]);
    let mut stderr = Vec::new();
    exit_code(Err(failure.into()), ErrorStyle::Json, &mut stderr);
    let wanted = serde_json::json!({"error": {
        "kind": "failed", "message": "topic orders: UNKNOWN_TOPIC_OR_PARTITION", "hint": null,
        "code": "UNKNOWN_TOPIC_OR_PARTITION", "retriable": false,
    }});
    assert_eq!(serde_json::from_slice::<Value>(&stderr).expect("JSON"), wanted);
}

#[test]
fn ctrl_c_ends_with_130_and_says_nothing() {
    let (code, stderr) = ended(Err(Failure::interrupted().into()));
    assert_eq!(
        (format!("{code:?}"), stderr.as_str()),
        (format!("{:?}", ExitCode::from(130)), "")
    );
}

#[test]
fn who_cannot_connect_ends_with_3() {
    let (code, _) = ended(Err(Failure::connect("cannot connect to localhost:1").into()));
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(3)));
}
