//! What only the simulated disk does: crashes, failures, a limit, rot.

use proptest::prelude::*;

use super::*;

const FILE: &str = "/d/f";

/// A disk with a durable directory `/d`.
fn disk(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    disk.create_dir_all(Path::new("/d")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk
}

fn create(disk: &SimDisk, path: &str) -> Arc<dyn DiskFile> {
    disk.open(Path::new(path), OpenMode::Create).unwrap()
}

fn content(disk: &SimDisk, path: &str) -> Option<Vec<u8>> {
    match disk.open(Path::new(path), OpenMode::Read) {
        Ok(file) => Some(file.read_bytes_at(0, 1 << 20).unwrap().to_vec()),
        Err(error) if error.is_not_found() => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn power_loss_keeps_only_synced_bytes_under_synced_names() {
    let disk = disk(1);
    let (named, unnamed) = (create(&disk, FILE), create(&disk, "/d/unnamed"));
    named.write_at(b"durable", 0).unwrap();
    named.sync_data().unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    named.write_at(b"lost", 7).unwrap();
    let late = create(&disk, "/d/late");
    late.write_at(b"x", 0).unwrap();
    late.sync_data().unwrap();
    unnamed.write_at(b"x", 0).unwrap();
    disk.crash(CrashMode::LoseUnsynced);
    assert_eq!(content(&disk, FILE).unwrap(), b"durable");
    assert_eq!(
        content(&disk, "/d/unnamed").unwrap(),
        b"",
        "the name was synced, the bytes were not"
    );
    assert_eq!(
        content(&disk, "/d/late"),
        None,
        "the bytes were synced, the name was not"
    );
    assert!(named.len().is_err(), "handles do not survive");
}

#[test]
fn an_unsynced_rename_or_removal_is_undone_by_power_loss() {
    let disk = disk(1);
    for name in ["/d/a", "/d/b", "/d/gone"] {
        let file = create(&disk, name);
        file.write_at(name.as_bytes(), 0).unwrap();
        file.sync_data().unwrap();
    }
    disk.sync_dir(Path::new("/d")).unwrap();
    disk.rename(Path::new("/d/a"), Path::new("/d/b")).unwrap();
    disk.remove_file(Path::new("/d/gone")).unwrap();
    disk.crash(CrashMode::LoseUnsynced);
    for name in ["/d/a", "/d/b", "/d/gone"] {
        assert_eq!(content(&disk, name).unwrap(), name.as_bytes());
    }
    disk.rename(Path::new("/d/a"), Path::new("/d/b")).unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    disk.crash(CrashMode::LoseUnsynced);
    assert_eq!(
        (content(&disk, "/d/a"), content(&disk, "/d/b").unwrap()),
        (None, b"/d/a".to_vec())
    );
}

#[test]
fn a_dead_process_loses_nothing_that_was_written() {
    let disk = disk(1);
    create(&disk, FILE).write_at(b"in the page cache", 0).unwrap();
    let lock = disk.lock(Path::new("/d")).unwrap();
    disk.crash(CrashMode::KeepAll);
    assert_eq!(content(&disk, FILE).unwrap(), b"in the page cache");
    let _again = disk.lock(Path::new("/d")).expect("its lock is gone with it");
    drop(lock);
    assert!(
        disk.lock(Path::new("/d")).is_err(),
        "a dead lock releases nothing of the living"
    );
    disk.crash(CrashMode::LoseUnsynced);
    assert_eq!(content(&disk, FILE), None, "the machine may still lose it later");
}

#[test]
fn a_failed_sync_loses_its_bytes_for_good_though_the_next_one_succeeds() {
    let disk = disk(1);
    let file = create(&disk, FILE);
    disk.sync_dir(Path::new("/d")).unwrap();
    file.write_at(b"first", 0).unwrap();
    disk.fail_next_sync("/f");
    assert_eq!(file.sync_data().unwrap_err().op, DiskOp::Sync);
    assert_eq!(content(&disk, FILE).unwrap(), b"first", "still visible");
    file.write_at(b"second", 5).unwrap();
    file.sync_data().unwrap();
    disk.crash(CrashMode::LoseUnsynced);
    assert_eq!(content(&disk, FILE).unwrap(), b"\0\0\0\0\0second");
}

#[test]
fn injected_failures_hit_once_and_only_the_path_meant() {
    let disk = disk(1);
    let (file, other) = (create(&disk, FILE), create(&disk, "/d/other"));
    disk.fail_next_write("/f");
    disk.fail_next_read("/f");
    other.write_at(b"x", 0).unwrap();
    assert!(file.write_at(b"abc", 0).is_err());
    assert!(
        b"abc".starts_with(&file_bytes(&file)),
        "a failed write leaves a part"
    );
    file.write_at(b"abc", 0).unwrap();
    assert_eq!(file_bytes(&file), b"abc");
}

/// Reads past one injected read failure.
fn file_bytes(file: &Arc<dyn DiskFile>) -> Vec<u8> {
    file.read_bytes_at(0, 99)
        .or_else(|_| file.read_bytes_at(0, 99))
        .unwrap()
        .to_vec()
}

#[test]
fn a_full_disk_takes_what_fits_and_takes_more_once_something_is_removed() {
    let disk = disk(1);
    let file = create(&disk, FILE);
    create(&disk, "/d/other").write_at(&[1; 60], 0).unwrap();
    disk.set_capacity(100);
    assert_eq!(disk.free_bytes(Path::new("/d")).unwrap(), 40);
    assert!(file.write_at(&[2; 50], 0).unwrap_err().is_out_of_space());
    assert_eq!(file.len().unwrap(), 40, "part of it fits");
    file.write_at(&[3; 40], 0).expect("overwriting needs no room");
    assert!(file.truncate(41).unwrap_err().is_out_of_space());
    disk.remove_file(Path::new("/d/other")).unwrap();
    assert_eq!(
        (disk.used_bytes(), disk.free_bytes(Path::new("/d")).unwrap()),
        (40, 60)
    );
    file.write_at(&[4; 60], 40).unwrap();
}

#[test]
fn a_flipped_bit_is_seen_at_once_and_after_a_crash() {
    let disk = disk(3);
    let file = create(&disk, FILE);
    file.write_at(&[0; 100], 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    let (position, bit) = disk.flip_random_bit(Path::new(FILE)).unwrap();
    let mut expected = vec![0; 100];
    expected[position as usize] = 1 << bit;
    assert_eq!(content(&disk, FILE).unwrap(), expected);
    disk.crash(CrashMode::LoseUnsynced);
    assert_eq!(content(&disk, FILE).unwrap(), expected);
    assert!(disk.flip_bit(Path::new(FILE), 100, 0).is_err());
}

#[test]
fn removed_files_do_not_pile_up_in_memory() {
    let disk = disk(1);
    for round in 0..10_000 {
        let path = format!("/d/{round}");
        create(&disk, &path).write_at(b"x", 0).unwrap();
        disk.remove_file(Path::new(&path)).unwrap();
        if round % 100 == 0 {
            disk.sync_dir(Path::new("/d")).unwrap();
        }
    }
    assert!(
        disk.state.lock().nodes.len() < 3_000,
        "{}",
        disk.state.lock().nodes.len()
    );
    assert_eq!(disk.used_bytes(), 0);
}

/// A random but repeatable piece of work on a few files.
fn work(disk: &SimDisk, steps: &[(u8, u8, u16)]) {
    for &(action, file, amount) in steps {
        let path = format!("/d/{}", file % 4);
        let path = Path::new(&path);
        match action % 8 {
            0..=3 => {
                let file = create(disk, path.to_str().unwrap());
                file.append(&[io::IoSlice::new(&vec![action; usize::from(amount)])])
                    .unwrap();
            }
            4 => create(disk, path.to_str().unwrap()).sync_data().unwrap(),
            5 => disk.sync_dir(Path::new("/d")).unwrap(),
            6 => create(disk, path.to_str().unwrap())
                .truncate(u64::from(amount))
                .unwrap(),
            _ => match disk.rename(path, Path::new("/d/renamed")) {
                Ok(()) => {}
                Err(error) => assert!(error.is_not_found(), "{error}"),
            },
        }
    }
}

proptest! {
    #[test]
    fn the_same_seed_and_work_give_the_same_bytes_after_any_crash(
        seed: u64,
        steps in proptest::collection::vec(any::<(u8, u8, u16)>(), 0..40),
        mode in 0..4usize,
    ) {
        let mode = [CrashMode::LoseUnsynced, CrashMode::KeepRandomPrefix, CrashMode::KeepRandomSubset, CrashMode::KeepAll][mode];
        let run = || {
            let disk = disk(seed);
            work(&disk, &steps);
            let before = disk.digest();
            disk.crash(mode);
            (before, disk.digest(), disk.stats())
        };
        let (before, after, _) = run();
        prop_assert_eq!((before, after), (run().0, run().1));
        if mode == CrashMode::KeepAll {
            prop_assert_eq!(before, after);
        }
    }

    #[test]
    fn an_append_only_file_keeps_its_synced_part_and_at_most_a_prefix_more(
        seed: u64,
        appends in proptest::collection::vec((1..3000usize, any::<bool>()), 1..20),
    ) {
        let disk = disk(seed);
        let file = create(&disk, FILE);
        disk.sync_dir(Path::new("/d")).unwrap();
        let (mut all, mut synced) = (Vec::new(), 0);
        for (number, (length, sync)) in appends.into_iter().enumerate() {
            all.resize(all.len() + length, number as u8 + 1);
            file.write_at(&all[all.len() - length..], (all.len() - length) as u64).unwrap();
            if sync {
                file.sync_data().unwrap();
                synced = all.len();
            }
        }
        disk.crash(CrashMode::KeepRandomPrefix);
        let found = content(&disk, FILE).unwrap();
        prop_assert!(found.len() >= synced);
        prop_assert!(all.starts_with(&found));
    }
}
