//! I4 on a real broker: the answer of `end_txn` is lost, whether the commit happened or not. State is kept, outputs are exactly once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use millpond_log::broker::{ProducerIdentity, TxnResult};
use millpond_log::types::TransactionalId;
use millpond_streams::runtime::{LogClient, LogError};

use super::hooked_log::{EndTxn, HookedLog};
use super::support::{Node, PATIENCE, expected};

/// Loses every third answer; in turn after it happened and before it could.
#[derive(Debug)]
struct Forgetful {
    calls: AtomicU64,
    lost: Arc<AtomicU64>,
}

#[async_trait]
impl EndTxn for Forgetful {
    async fn end_txn(
        &self,
        log: &Arc<dyn LogClient>,
        id: TransactionalId,
        identity: ProducerIdentity,
        result: TxnResult,
    ) -> Result<ProducerIdentity, LogError> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if call % 3 != 1 {
            return log.end_txn(id, identity, result).await;
        }
        self.lost.fetch_add(1, Ordering::Relaxed);
        if call.is_multiple_of(2) {
            log.end_txn(id, identity, result).await?;
        }
        Err(LogError::Unknown("connection lost".into()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_commit_answers_neither_lose_nor_double_anything_nor_cost_the_state() {
    let node = Node::start().await;
    let lost = Arc::new(AtomicU64::new(0));
    let log = HookedLog::new(
        &node.broker,
        Forgetful {
            calls: AtomicU64::new(0),
            lost: lost.clone(),
        },
    );
    let app = node
        .words()
        .log_client(Arc::new(log))
        .run()
        .await
        .expect("it starts");
    let lines: Vec<String> = (0..900).map(|n| format!("w{} all", n % 11)).collect();
    for part in lines.chunks(30) {
        node.send(part.iter().cloned()).await;
        app.wait_until_caught_up().await.expect("it catches up");
    }
    assert_eq!(node.counts().await, expected(lines.iter().map(String::as_str)));
    let metrics = app.metrics();
    assert!(
        lost.load(Ordering::Relaxed) >= 5,
        "too few answers were lost to prove anything"
    );
    assert_eq!(metrics.recoveries, lost.load(Ordering::Relaxed));
    assert_eq!(metrics.restored_records, 0, "state was kept, not rebuilt");
    let mut entries = std::fs::read_dir(node.state_dir.join("words")).expect("the state directory is there");
    assert!(entries.next().is_some(), "the state is there");
    app.shutdown(PATIENCE).await.expect("it ends");
}
