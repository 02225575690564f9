//! What a user is told when there is no broker, or something else, where one should be.

use std::time::Duration;

use millpond_streams::runtime::{RemoteOptions, Streams};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::support::word_count;

/// Starts an application at this address; it must not start.
async fn refused(address: String) -> String {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = RemoteOptions {
        request_timeout: Duration::from_millis(200),
        ..RemoteOptions::new(address)
    };
    let started = Streams::builder(word_count())
        .application_id("words")
        .connect_with(options)
        .state_dir(dir.path())
        .run()
        .await;
    started.expect_err("there is no broker").to_string()
}

/// A listener that answers every connection with these bytes and closes it.
async fn answering(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            // The client may hang up first.
            client.write_all(bytes).await.ok();
        }
    });
    address.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_broker_is_named_with_its_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let error = refused(address.clone()).await;
    assert!(
        error.contains(&address) && error.contains("connection refused"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_broker_or_wants_tls_is_recognised() {
    for (bytes, part) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "web server"),
        (&[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x0a][..], "TLS"),
        (&b""[..], "closed the connection"),
    ] {
        let error = refused(answering(bytes).await).await;
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_and_sasl_are_refused_before_anything_is_connected() {
    for scheme in ["SSL", "SASL_SSL", "SASL_PLAINTEXT"] {
        let error = refused(format!("{scheme}://localhost:9093")).await;
        assert!(error.contains("plaintext"), "{error}");
    }
}
