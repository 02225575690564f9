//! Who cannot connect: exit code 3, the address, who named it, and what answered instead.

use std::io::Read;
use std::net::TcpListener;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::node::Node;
use crate::process::{Finished, finished, millpond};

#[test]
fn who_cannot_connect_learns_where_and_who_said_so() {
    let unused = TcpListener::bind("127.0.0.1:0")
        .expect("a free port")
        .local_addr()
        .expect("bound");
    let address = unused.to_string();
    let home = tempfile::tempdir().expect("a temporary folder");
    let lonely = |args: &[&str], variable: Option<&str>| -> Finished {
        let mut command = millpond(args);
        command
            .env_remove("MILLPOND_BROKERS")
            .env("MILLPOND_CONFIG_DIR", home.path());
        if let Some(brokers) = variable {
            command.env("MILLPOND_BROKERS", brokers);
        }
        finished(&mut command)
    };
    let cannot = |done: &Finished, origin: &str| {
        assert_eq!(done.code(), Some(3), "{}", done.stderr);
        let wanted = format!("error: cannot connect to {address} (from {origin}): connection refused\n");
        assert!(done.stderr.starts_with(&wanted), "{}", done.stderr);
    };
    cannot(
        &lonely(&["topic", "list", "-b", &address], None),
        "flag --brokers",
    );
    cannot(
        &lonely(&["topic", "list"], Some(&address)),
        "variable MILLPOND_BROKERS",
    );
    lonely(&["profile", "set", "test", &format!("brokers={address}")], None);
    let file = home.path().join("profiles.toml");
    let origin = format!("profile test in {}", file.display());
    cannot(&lonely(&["topic", "list", "-C", "test"], None), &origin);
    lonely(&["profile", "use", "test"], None);
    cannot(&lonely(&["topic", "list"], None), &origin);
    let shown = lonely(&["profile", "show", "--origin", "--format", "json"], None);
    let shown: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    let settings = shown["settings"].as_array().expect("rows");
    let brokers = settings
        .iter()
        .find(|row| row["setting"] == "bootstrap.servers")
        .expect("always there");
    assert_eq!(
        (&brokers["value"], &brokers["origin"]),
        (&json!(address), &json!(origin))
    );
    let slip = lonely(&["topic", "list", "-C", "tes"], None);
    assert_eq!(slip.code(), Some(2));
    assert!(
        slip.stderr.ends_with("hint: did you mean test?\n"),
        "{}",
        slip.stderr
    );
    let json = lonely(&["topic", "list", "-b", &address, "--format", "json"], None);
    let error: Value = serde_json::from_str(&json.stderr).expect("one object on stderr");
    assert_eq!(
        (&error["error"]["kind"], &error["error"]["retriable"]),
        (&json!("connect"), &json!(true))
    );
}

#[test]
fn what_is_no_kafka_broker_is_told_by_its_answer() {
    for (answer, wanted) in [
        (
            &b"\x15\x03\x03\x00\x02\x02\x28"[..],
            "speaks TLS, and this client plaintext",
        ),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            "is a web server, not a Kafka broker",
        ),
        (b"\x7f\xff\xff\xff", "does not speak Kafka's protocol"),
        (b"", "closed the connection"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let child = millpond(["topic", "list", "-b", &address])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the binary that cargo built starts");
        let (mut client, _) = listener.accept().expect("it connects");
        client.read_exact(&mut [0; 8]).expect("a request");
        std::io::Write::write_all(&mut client, answer).expect("it listens");
        drop(client);
        let done = child.wait_with_output().expect("our own child");
        let stderr = String::from_utf8(done.stderr).expect("UTF-8");
        assert_eq!(done.status.code(), Some(3), "{stderr}");
        assert!(stderr.contains(wanted) && stderr.contains("\nhint: "), "{stderr}");
    }
}

#[test]
fn an_advertised_address_that_cannot_be_reached_is_told_as_such() {
    let unused = TcpListener::bind("127.0.0.1:0")
        .expect("a free port")
        .local_addr()
        .expect("bound");
    let node = Node::start(&["--advertised", &unused.to_string()]);
    let done = node.run(&["group", "list"]);
    assert_eq!(done.code(), Some(3), "{}", done.stderr);
    let wanted = format!(
        "error: broker 1 advertises {unused}, which cannot be reached from here: connection refused\n"
    );
    assert!(done.stderr.starts_with(&wanted), "{}", done.stderr);
    assert!(
        done.stderr.contains(&format!("hint: {} answers", node.address)),
        "{}",
        done.stderr
    );
}

#[test]
fn a_profile_takes_secrets_from_where_they_lie_and_warns_about_what_it_does_not_know() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let profiles = "[profiles.p]\nbrokers = { env = \"WHERE\" }\n\"linger.mss\" = 5\n\"acks\" = \"all\"\n";
    std::fs::write(home.path().join("profiles.toml"), profiles).expect("a temporary file");
    let show = |variables: &[(&str, &str)]| {
        let mut command = millpond(["profile", "show", "-C", "p", "--format", "awk"]);
        command
            .env_remove("MILLPOND_BROKERS")
            .env("MILLPOND_CONFIG_DIR", home.path());
        finished(command.envs(variables.iter().copied()))
    };
    let shown = show(&[("WHERE", "k1:9092")]);
    assert_eq!(
        (shown.code(), shown.stdout.as_str()),
        (Some(0), "acks\tall\t-\nbootstrap.servers\tk1:9092\t-\n"),
        "{}",
        shown.stderr
    );
    assert!(
        shown.stderr.starts_with("warning: profile p in ")
            && shown.stderr.contains("did you mean linger.ms?"),
        "{}",
        shown.stderr
    );
    let overruled = show(&[("WHERE", "k1:9092"), ("MILLPOND_ACKS", "1")]);
    assert!(
        overruled.stdout.starts_with("acks\t1\t-\n"),
        "{}",
        overruled.stdout
    );
    let missing = show(&[]);
    assert_eq!(missing.code(), Some(1));
    assert!(
        missing.stderr.contains("variable WHERE is not set"),
        "{}",
        missing.stderr
    );
    let wrong = show(&[("WHERE", "k1:9092"), ("MILLPOND_ACKS", "many")]);
    assert_eq!(wrong.code(), Some(2), "{}", wrong.stderr);
}
