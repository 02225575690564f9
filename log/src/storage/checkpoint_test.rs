//! Kafka's text files: form, durability, damage.

use super::*;
use crate::storage::disk::OpenMode;
use crate::storage::disk_sim::{CrashMode, SimDisk};
use crate::storage::partition_metadata;
use crate::types::TopicId;

const DIR: &str = "/data";

fn disk() -> SimDisk {
    let disk = SimDisk::new(7);
    disk.create_dir_all(Path::new(DIR)).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk
}

fn put(disk: &SimDisk, path: &Path, text: &str) {
    disk.open(path, OpenMode::Truncate)
        .unwrap()
        .write_at(text.as_bytes(), 0)
        .unwrap();
}

fn text(disk: &SimDisk, path: &Path) -> String {
    let disk: &dyn Disk = disk;
    String::from_utf8(disk.read_file(path, 1 << 20).unwrap().to_vec()).unwrap()
}

#[test]
fn files_have_kafkas_form() {
    let disk = disk();
    let path = Path::new("/data/recovery-point-offset-checkpoint");
    let partition = |topic, number| TopicPartition::new(TopicName::new(topic).unwrap(), number);
    let offsets = BTreeMap::from([
        (partition("b", 0), Offset::new(5)),
        (partition("a", 1), Offset::new(42)),
    ]);
    write_offsets(&disk, path, &offsets).unwrap();
    assert_eq!(text(&disk, path), "0\n2\na 1 42\nb 0 5\n");
    assert_eq!(read_offsets(&disk, path).unwrap(), offsets);

    let path = Path::new("/data/leader-epoch-checkpoint");
    let epochs = [(0, 0), (3, 17)].map(|(epoch, start)| EpochEntry {
        epoch: LeaderEpoch::new(epoch),
        start_offset: Offset::new(start),
    });
    write_epochs(&disk, path, &epochs).unwrap();
    assert_eq!(text(&disk, path), "0\n2\n0 0\n3 17\n");
    assert_eq!(read_epochs(&disk, path).unwrap(), epochs);

    let id = "AAAAAAAAAAAAAAAAAAAAAQ".parse::<TopicId>().unwrap();
    partition_metadata::write(&disk, Path::new(DIR), id).unwrap();
    assert_eq!(
        text(&disk, Path::new("/data/partition.metadata")),
        "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ"
    );
    assert_eq!(partition_metadata::read(&disk, Path::new(DIR)).unwrap(), Some(id));
}

#[test]
fn missing_files_are_empty() {
    let disk = disk();
    assert!(read_offsets(&disk, Path::new("/data/none")).unwrap().is_empty());
    assert!(read_epochs(&disk, Path::new("/data/none")).unwrap().is_empty());
    assert_eq!(partition_metadata::read(&disk, Path::new(DIR)).unwrap(), None);
}

#[test]
fn damaged_files_are_named_with_the_line() {
    let disk = disk();
    let path = Path::new("/data/x");
    for (content, line) in [
        ("", 1),
        ("1\n0\n", 1),
        ("0\n", 2),
        ("0\nx\n", 2),
        ("0\n1\n", 2),
        ("0\n1\na 0 1\nb 0 1\n", 4),
        ("0\n1\na 0\n", 3),
        ("0\n1\na x 1\n", 3),
        ("0\n1\na/b 0 1\n", 3),
        ("0\n2\na 0 1\na 0 2\n", 4),
        ("0\n1\na 0 99999999999999999999\n", 3),
    ] {
        put(&disk, path, content);
        match read_offsets(&disk, path) {
            Err(CheckpointError::Malformed { line: found, .. }) => assert_eq!(found, line, "{content:?}"),
            other => panic!("{content:?} gave {other:?}"),
        }
    }
    for content in [
        "",
        "version: 1\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ",
        "version: 0",
        "version: 0\ntopic_id: x",
        "junk",
    ] {
        put(&disk, Path::new("/data/partition.metadata"), content);
        assert!(
            partition_metadata::read(&disk, Path::new(DIR)).is_err(),
            "{content:?}"
        );
    }
}

#[test]
fn a_replaced_file_survives_power_loss_and_an_interrupted_one_leaves_the_old() {
    let path = Path::new("/data/leader-epoch-checkpoint");
    let epoch = |n: i32| {
        [EpochEntry {
            epoch: LeaderEpoch::new(n),
            start_offset: Offset::new(i64::from(n)),
        }]
    };
    let disk = disk();
    write_epochs(&disk, path, &epoch(1)).unwrap();
    disk.crash(CrashMode::LoseUnsynced);
    assert_eq!(read_epochs(&disk, path).unwrap(), epoch(1));
    // Each of the steps write, sync, rename, sync fails in turn.
    disk.fail_next_write("leader-epoch-checkpoint.tmp");
    assert!(write_epochs(&disk, path, &epoch(2)).is_err());
    disk.crash(CrashMode::KeepAll);
    assert_eq!(read_epochs(&disk, path).unwrap(), epoch(1));
    disk.fail_next_sync("leader-epoch-checkpoint.tmp");
    assert!(write_epochs(&disk, path, &epoch(3)).is_err());
    disk.crash(CrashMode::KeepAll);
    assert_eq!(read_epochs(&disk, path).unwrap(), epoch(1));
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        disk.create_dir_all(Path::new(DIR)).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        write_epochs(&disk, path, &epoch(1)).unwrap();
        disk.fail_next_sync("/data");
        assert!(write_epochs(&disk, path, &epoch(2)).is_err());
        disk.crash(CrashMode::KeepRandomSubset);
        let found = read_epochs(&disk, path).unwrap();
        assert!(found == epoch(1) || found == epoch(2), "seed {seed}: {found:?}");
    }
}
