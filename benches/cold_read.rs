//! Would `sendfile` serve old data faster than reading it and writing it to the socket?
//!
//! Both ways move the same file, which lies in the page cache, to a client that reads it over loopback; the second is what the broker does, which
//! also checks every batch. The figure decides whether a path past user space is worth building: it would send what it could not check.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

const TOTAL_BYTES: u64 = 256 << 20;
const PIECE_BYTES: usize = 1 << 20;

/// A client that reads everything and tells when it has seen `TOTAL_BYTES` more.
struct Client {
    socket: TcpStream,
    seen: std::sync::mpsc::Receiver<()>,
}

#[allow(
    clippy::disallowed_methods,
    reason = "the client is a thread of this bench alone"
)]
fn client() -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (tell, seen) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a client");
        let mut buffer = vec![0; PIECE_BYTES];
        let mut left = TOTAL_BYTES;
        while let Ok(read) = socket.read(&mut buffer) {
            if read == 0 {
                return;
            }
            left -= read as u64;
            if left == 0 {
                left = TOTAL_BYTES;
                if tell.send(()).is_err() {
                    return;
                }
            }
        }
    });
    let socket = TcpStream::connect(address).expect("the listener");
    Client { socket, seen }
}

fn cold_read(c: &mut Criterion) {
    let mut file = tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch file");
    let piece: Vec<u8> = (0..PIECE_BYTES).map(|at| (at * 31) as u8).collect();
    for _ in 0..TOTAL_BYTES / PIECE_BYTES as u64 {
        file.write_all(&piece).expect("room for the scratch file");
    }
    let mut client = client();
    let mut group = c.benchmark_group("256 MiB of old data to a client on loopback");
    group
        .throughput(Throughput::Bytes(TOTAL_BYTES))
        .sampling_mode(SamplingMode::Flat)
        .sample_size(10);
    group.bench_function("read and write", |b| {
        b.iter(|| read_and_write(&file, &mut client))
    });
    group.bench_function("read, check and write", |b| {
        b.iter(|| read_check_and_write(&file, &mut client))
    });
    group.bench_function("sendfile", |b| b.iter(|| send_file(&file, &client)));
    group.finish();
}

fn read_and_write(file: &File, client: &mut Client) {
    let mut buffer = vec![0; PIECE_BYTES];
    for piece in 0..TOTAL_BYTES / PIECE_BYTES as u64 {
        file.read_exact_at(&mut buffer, piece * PIECE_BYTES as u64)
            .expect("readable");
        client.socket.write_all(&buffer).expect("the client reads");
    }
    client.seen.recv().expect("the client saw it all");
}

fn read_check_and_write(file: &File, client: &mut Client) {
    let mut buffer = vec![0; PIECE_BYTES];
    for piece in 0..TOTAL_BYTES / PIECE_BYTES as u64 {
        file.read_exact_at(&mut buffer, piece * PIECE_BYTES as u64)
            .expect("readable");
        std::hint::black_box(crc32c::crc32c(&buffer));
        client.socket.write_all(&buffer).expect("the client reads");
    }
    client.seen.recv().expect("the client saw it all");
}

fn send_file(file: &File, client: &Client) {
    let mut offset = 0;
    while offset < TOTAL_BYTES {
        rustix::fs::sendfile(&client.socket, file, Some(&mut offset), PIECE_BYTES).expect("the client reads");
    }
    client.seen.recv().expect("the client saw it all");
}

criterion_group!(benches, cold_read);
criterion_main!(benches);
