//! What every [`Disk`] does, run over the real and the simulated one.

use std::io::{ErrorKind, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::aligned_buffer::AlignedBuffer;
use super::disk::{DIRECT_ALIGN, Disk, DiskExt, DiskOp, LockError, OpenMode};
use super::disk_fs::FsDisk;
use super::disk_sim::SimDisk;

type Check = fn(&Arc<dyn Disk>, &Path);

fn on_both(check: Check) {
    let dir = tempfile::tempdir().unwrap();
    check(&FsDisk::shared(), dir.path());
    let simulated = SimDisk::new(1);
    simulated.create_dir_all(Path::new("/work")).unwrap();
    check(&simulated.shared(), Path::new("/work"));
}

#[test]
fn open_modes_say_what_must_exist() {
    on_both(|disk, dir| {
        let path = dir.join("f");
        assert_eq!(
            disk.open(&path, OpenMode::Read).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert!(disk.open(&path, OpenMode::Write).unwrap_err().is_not_found());
        disk.open(&path, OpenMode::CreateNew)
            .unwrap()
            .write_at(b"abc", 0)
            .unwrap();
        assert_eq!(
            disk.open(&path, OpenMode::CreateNew).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        assert_eq!(disk.open(&path, OpenMode::Create).unwrap().len().unwrap(), 3);
        assert_eq!(disk.open(&path, OpenMode::Write).unwrap().len().unwrap(), 3);
        assert!(
            disk.open(&path, OpenMode::Read)
                .unwrap()
                .write_at(b"x", 0)
                .is_err()
        );
        assert_eq!(disk.open(&path, OpenMode::Truncate).unwrap().len().unwrap(), 0);
        assert_eq!(
            disk.open(dir, OpenMode::Read).unwrap_err().kind(),
            ErrorKind::IsADirectory
        );
        assert!(
            disk.open(&dir.join("no/f"), OpenMode::Create)
                .unwrap_err()
                .is_not_found()
        );
    });
}

/// Aligned or not, at the end or over what is there: only the way to the disk differs.
#[test]
fn direct_writes_are_read_back_like_any_other() {
    on_both(|disk, dir| {
        let file = disk.open(&dir.join("f"), OpenMode::Create).unwrap();
        let mut buffer = AlignedBuffer::default();
        buffer.reset(3 * DIRECT_ALIGN);
        buffer.fill(&vec![1; 3 * DIRECT_ALIGN]);
        let block = DIRECT_ALIGN as u64;
        file.write_direct_at(buffer.filled(), 0).unwrap();
        file.write_at(b"plain", block).unwrap();
        file.write_direct_at(&buffer.filled()[..DIRECT_ALIGN], 2 * block)
            .unwrap();
        file.write_direct_at(b"short", 10).unwrap();
        file.write_direct_at(&buffer.filled()[1..7], 3 * block).unwrap();
        file.sync_data().unwrap();
        let mut expected = vec![1; 3 * DIRECT_ALIGN + 6];
        expected[DIRECT_ALIGN..][..5].copy_from_slice(b"plain");
        expected[10..15].copy_from_slice(b"short");
        assert_eq!(file.len().unwrap(), expected.len() as u64);
        assert_eq!(file.read_bytes_at(0, expected.len() + 1).unwrap(), expected);
    });
}

#[test]
fn bytes_are_read_back_where_they_were_written() {
    on_both(|disk, dir| {
        let file = disk.open(&dir.join("f"), OpenMode::Create).unwrap();
        assert!(file.is_empty().unwrap());
        assert_eq!(
            file.append(&[IoSlice::new(b"hello"), IoSlice::new(b""), IoSlice::new(b" world")])
                .unwrap(),
            0
        );
        assert_eq!(file.append(&[IoSlice::new(b"!")]).unwrap(), 11);
        assert_eq!(file.append(&[]).unwrap(), 12);
        let mut five = [0; 5];
        file.read_exact_at(&mut five, 6).unwrap();
        assert_eq!(&five, b"world");
        assert_eq!(file.read_at(&mut five, 10).unwrap(), 2);
        assert_eq!(file.read_at(&mut five, 99).unwrap(), 0);
        let error = file.read_exact_at(&mut five, 10).unwrap_err();
        assert_eq!((error.kind(), error.op), (ErrorKind::UnexpectedEof, DiskOp::Read));
        assert_eq!(&file.read_bytes_at(6, 100).unwrap()[..], b"world!");
        assert_eq!(&file.read_bytes_at(0, 5).unwrap()[..], b"hello");
        let other = disk.open(&dir.join("f"), OpenMode::Write).unwrap();
        other.write_at(b"J", 0).unwrap();
        assert_eq!(
            &file.read_bytes_at(0, 5).unwrap()[..],
            b"Jello",
            "handles see each other's writes at once"
        );
        file.write_at(b"gap", 20).unwrap();
        assert_eq!(&file.read_bytes_at(12, 100).unwrap()[..], b"\0\0\0\0\0\0\0\0gap");
    });
}

#[test]
fn writes_of_more_pieces_than_the_kernel_takes_at_once_are_whole() {
    on_both(|disk, dir| {
        let file = disk.open(&dir.join("f"), OpenMode::Create).unwrap();
        let numbers = (0..3000u32).map(u32::to_be_bytes).collect::<Vec<_>>();
        let pieces = numbers
            .iter()
            .map(|bytes| IoSlice::new(bytes))
            .collect::<Vec<_>>();
        file.append(&pieces).unwrap();
        assert_eq!(file.read_bytes_at(0, 1 << 20).unwrap(), numbers.concat());
    });
}

#[test]
fn truncation_cuts_or_extends_with_zeros() {
    on_both(|disk, dir| {
        let file = disk.open(&dir.join("f"), OpenMode::Create).unwrap();
        file.write_at(b"abcdef", 0).unwrap();
        file.truncate(2).unwrap();
        file.truncate(4).unwrap();
        assert_eq!(&file.read_bytes_at(0, 10).unwrap()[..], b"ab\0\0");
        file.sync_data().unwrap();
        file.sync_all().unwrap();
    });
}

#[test]
fn names_are_listed_in_order_and_follow_renames_and_removals() {
    on_both(|disk, dir| {
        disk.create_dir_all(&dir.join("p/q")).unwrap();
        disk.create_dir_all(&dir.join("p/q")).unwrap();
        for name in ["b", "a", "c"] {
            disk.open(&dir.join("p").join(name), OpenMode::Create)
                .unwrap()
                .write_at(name.as_bytes(), 0)
                .unwrap();
        }
        let names = |disk: &Arc<dyn Disk>| {
            let entries = disk.list(&dir.join("p")).unwrap();
            entries
                .into_iter()
                .map(|entry| (entry.name, entry.is_dir))
                .collect::<Vec<_>>()
        };
        let expected =
            |names: &[(&str, bool)]| names.iter().map(|&(n, d)| (n.to_owned(), d)).collect::<Vec<_>>();
        assert_eq!(
            names(disk),
            expected(&[("a", false), ("b", false), ("c", false), ("q", true)])
        );
        disk.rename(&dir.join("p/a"), &dir.join("p/b")).unwrap();
        assert_eq!(
            &disk.read_file(&dir.join("p/b"), 9).unwrap()[..],
            b"a",
            "the new name holds the old file"
        );
        disk.remove_file(&dir.join("p/c")).unwrap();
        disk.rename(&dir.join("p/q"), &dir.join("p/r")).unwrap();
        assert_eq!(names(disk), expected(&[("b", false), ("r", true)]));
        assert!(disk.exists(&dir.join("p/b")).unwrap());
        assert!(!disk.exists(&dir.join("p/c")).unwrap());
        assert!(!disk.exists(&dir.join("p/b/x")).unwrap());
        disk.sync_dir(&dir.join("p")).unwrap();
        disk.remove_dir_all(&dir.join("p")).unwrap();
        assert!(disk.list(&dir.join("p")).unwrap_err().is_not_found());
    });
}

#[test]
fn operations_on_missing_or_wrong_names_err() {
    on_both(|disk, dir| {
        let (file, missing) = (dir.join("f"), dir.join("missing"));
        disk.open(&file, OpenMode::Create).unwrap();
        disk.create_dir_all(&dir.join("d")).unwrap();
        assert!(disk.rename(&missing, &dir.join("x")).unwrap_err().is_not_found());
        assert!(disk.remove_file(&missing).unwrap_err().is_not_found());
        assert!(disk.remove_dir_all(&missing).unwrap_err().is_not_found());
        assert!(disk.sync_dir(&missing).unwrap_err().is_not_found());
        assert!(disk.list(&file).is_err());
        assert!(disk.remove_file(&dir.join("d")).is_err());
        assert!(disk.create_dir_all(&file.join("sub")).is_err());
        assert!(disk.rename(&file, &dir.join("d")).is_err());
        let error = disk.rename(&file, &dir.join("d/f")).unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::InvalidInput,
            "no move between directories"
        );
    });
}

#[test]
fn a_removed_file_can_be_used_by_whoever_has_it_open() {
    on_both(|disk, dir| {
        let path = dir.join("f");
        let file = disk.open(&path, OpenMode::Create).unwrap();
        file.write_at(b"still here", 0).unwrap();
        disk.remove_file(&path).unwrap();
        assert_eq!(&file.read_bytes_at(0, 99).unwrap()[..], b"still here");
        assert_eq!(
            disk.open(&path, OpenMode::Create).unwrap().len().unwrap(),
            0,
            "the name now means another file"
        );
    });
}

#[test]
fn a_locked_directory_is_refused_with_the_holder_until_released() {
    on_both(|disk, dir| {
        let lock = disk.lock(dir).unwrap();
        assert_eq!(lock.path(), dir);
        let error = disk.lock(dir).unwrap_err();
        let LockError::Locked { holder, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(*holder, Some(std::process::id()));
        let sentence = format!(
            "directory {} is in use by process {}; only one process may use it at a time",
            dir.display(),
            std::process::id()
        );
        assert_eq!(error.to_string(), sentence);
        drop(lock);
        disk.lock(dir).unwrap();
        assert!(disk.exists(&dir.join(".lock")).unwrap());
        assert!(
            matches!(disk.lock(&dir.join("missing")), Err(LockError::Disk(error)) if error.is_not_found())
        );
    });
}

#[test]
fn replacing_a_file_leaves_no_temporary_one_and_reading_is_capped() {
    on_both(|disk, dir| {
        let path = dir.join("f");
        disk.replace_file(&path, b"one").unwrap();
        disk.replace_file(&path, b"two!").unwrap();
        assert_eq!(&disk.read_file(&path, 4).unwrap()[..], b"two!");
        assert_eq!(
            disk.read_file(&path, 3).unwrap_err().kind(),
            ErrorKind::FileTooLarge
        );
        assert_eq!(disk.list(dir).unwrap().len(), 1);
    });
}

#[test]
fn free_space_is_told_for_existing_paths() {
    on_both(|disk, dir| {
        assert!(disk.free_bytes(dir).unwrap() > 0);
        assert!(disk.total_bytes(dir).unwrap() >= disk.free_bytes(dir).unwrap());
        assert!(disk.total_bytes(&dir.join("missing")).unwrap_err().is_not_found());
        assert!(disk.free_bytes(&dir.join("missing")).unwrap_err().is_not_found());
    });
}

#[tokio::test]
async fn blocking_jobs_return_their_result() {
    let dir = tempfile::tempdir().unwrap();
    let simulated = SimDisk::new(1);
    for (disk, path) in [
        (FsDisk::shared(), dir.path().join("f")),
        (simulated.shared(), PathBuf::from("/f")),
    ] {
        let inner = disk.clone();
        let written = disk
            .blocking(move || inner.open(&path, OpenMode::Create)?.append(&[IoSlice::new(b"x")]))
            .await;
        assert_eq!(written.unwrap(), 0);
    }
}
