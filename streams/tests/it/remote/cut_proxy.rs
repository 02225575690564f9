//! A proxy in front of a broker that cuts connections: before a request is passed on, or after it was carried out and before its answer is. It can be
//! slow as well.
//!
//! Always true: the first two requests of each kind are cut, one each way; later ones as the seed says. Brokers advertise the proxy's address, so that nobody
//! goes around it. Where it leads can be changed while it runs, to a broker that was started again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kafka_protocol::messages::ApiKey;
use millpond_log::clock::{Clock, SystemClock};
use millpond_log::rng::{Rng, SeededRng};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cut {
    Before,
    After,
}

/// See the head of this file.
pub(crate) struct CutProxy {
    pub(crate) address: SocketAddr,
    inner: Arc<Inner>,
    accepting: tokio::task::JoinHandle<()>,
}

struct Inner {
    target: Mutex<Option<SocketAddr>>,
    /// One request in so many is cut; 0 cuts none, not even the first.
    one_in: u64,
    /// Answers are held up for less than this many milliseconds.
    slow_ms: AtomicU64,
    /// Counts how often all connections were ended.
    generation: tokio::sync::watch::Sender<u64>,
    rng: SeededRng,
    seen: Mutex<BTreeMap<i16, u64>>,
    cuts: Mutex<BTreeMap<(i16, Cut), u64>>,
}

impl CutProxy {
    /// Listens on a free port and leads nowhere yet.
    pub(crate) async fn start(seed: u64, one_in: u64, slow_ms: u64) -> CutProxy {
        println!("seed {seed}");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let inner = Arc::new(Inner {
            target: Mutex::new(None),
            one_in,
            slow_ms: AtomicU64::new(slow_ms),
            generation: tokio::sync::watch::Sender::new(0),
            rng: SeededRng::new(seed),
            seen: Mutex::default(),
            cuts: Mutex::default(),
        });
        let shared = inner.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let inner = shared.clone();
                tokio::spawn(async move {
                    let mut generation = inner.generation.subscribe();
                    tokio::select! {
                        // Every end of a connection is one; there is nothing to tell.
                        _ = inner.carry(client) => {}
                        _ = generation.changed() => {}
                    }
                });
            }
        });
        CutProxy {
            address,
            inner,
            accepting,
        }
    }

    /// Leads to this broker from now on; to none: connections are taken and closed.
    pub(crate) fn lead_to(&self, target: Option<SocketAddr>) {
        *self.inner.target.lock() = target;
    }

    /// Where it leads.
    pub(crate) fn leads_to(&self) -> Option<SocketAddr> {
        *self.inner.target.lock()
    }

    /// Holds up every answer for less than this from now on.
    pub(crate) fn slow_down(&self, slow_ms: u64) {
        self.inner.slow_ms.store(slow_ms, Ordering::Relaxed);
    }

    /// Ends every connection there is.
    pub(crate) fn cut_all(&self) {
        self.inner.generation.send_modify(|number| *number += 1);
    }

    /// The kinds of requests that were cut, each way.
    pub(crate) fn cuts(&self) -> BTreeMap<(String, Cut), u64> {
        let cuts = self.inner.cuts.lock();
        let named = |(key, cut): &(i16, Cut)| {
            let key = ApiKey::try_from(*key).map_or_else(|()| key.to_string(), |key| format!("{key:?}"));
            (key, *cut)
        };
        cuts.iter().map(|(kind, count)| (named(kind), *count)).collect()
    }
}

impl Drop for CutProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Inner {
    async fn carry(&self, mut client: TcpStream) -> std::io::Result<()> {
        let Some(target) = *self.target.lock() else {
            return Ok(());
        };
        let mut broker = TcpStream::connect(target).await?;
        broker.set_nodelay(true)?;
        client.set_nodelay(true)?;
        loop {
            let request = frame(&mut client).await?;
            let cut = self.decide(i16::from_be_bytes([request[4], request[5]]));
            if cut == Some(Cut::Before) {
                return Ok(());
            }
            broker.write_all(&request).await?;
            let answer = frame(&mut broker).await?;
            if cut == Some(Cut::After) {
                return Ok(());
            }
            let slow_ms = self.slow_ms.load(Ordering::Relaxed);
            if slow_ms > 0 {
                let wait = Duration::from_millis(self.rng.below(slow_ms));
                SystemClock::new().sleep(wait).await;
            }
            client.write_all(&answer).await?;
        }
    }

    fn decide(&self, key: i16) -> Option<Cut> {
        if self.one_in == 0 {
            return None;
        }
        let seen = {
            let mut seen = self.seen.lock();
            let count = seen.entry(key).or_default();
            *count += 1;
            *count
        };
        let cut = match seen {
            1 => Cut::Before,
            2 => Cut::After,
            _ if self.rng.below(self.one_in) > 0 => return None,
            _ if self.rng.below(2) == 0 => Cut::Before,
            _ => Cut::After,
        };
        *self.cuts.lock().entry((key, cut)).or_default() += 1;
        Some(cut)
    }
}

/// A frame with its length.
async fn frame(from: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    let mut frame = vec![0; length as usize + 4];
    frame[..4].copy_from_slice(&length.to_be_bytes());
    from.read_exact(&mut frame[4..]).await?;
    Ok(frame)
}
