//! Behaviour of the cache of open files.

use std::path::PathBuf;

use super::*;
use crate::storage::disk_sim::SimDisk;

fn cache(open_max: usize) -> FileCache {
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new("/d/sub")).unwrap();
    FileCache::new(Arc::new(disk), open_max)
}

#[test]
fn keeps_the_most_recently_used_files_open() {
    let cache = cache(2);
    let [a, b, c] = ["/d/a", "/d/b", "/d/c"].map(PathBuf::from);
    let first = cache.get_or_create(&a).unwrap();
    let second = cache.get_or_create(&b).unwrap();
    assert!(
        Arc::ptr_eq(&first, &cache.get(&a).unwrap()),
        "a hit gives the same handle"
    );
    cache.get_or_create(&c).unwrap();
    assert_eq!(cache.open_count(), 2);
    assert!(
        Arc::ptr_eq(&first, &cache.get(&a).unwrap()),
        "used more recently than b"
    );
    assert!(
        !Arc::ptr_eq(&second, &cache.get(&b).unwrap()),
        "b was closed and is open again"
    );
}

#[test]
fn an_evicted_handle_still_works_for_its_user() {
    let cache = cache(1);
    let file = cache.get_or_create(Path::new("/d/a")).unwrap();
    cache.get_or_create(Path::new("/d/b")).unwrap();
    file.write_at(b"kept", 0).unwrap();
    assert_eq!(
        &cache.get(Path::new("/d/a")).unwrap().read_bytes_at(0, 9).unwrap()[..],
        b"kept"
    );
}

#[test]
fn a_forgotten_name_is_opened_anew() {
    let cache = cache(8);
    let (old, new) = (Path::new("/d/old"), Path::new("/d/new"));
    cache.get_or_create(old).unwrap().write_at(b"1", 0).unwrap();
    cache.disk().rename(old, new).unwrap();
    cache.forget(old);
    assert!(cache.get(old).unwrap_err().is_not_found());
    assert_eq!(cache.get(new).unwrap().len().unwrap(), 1);
}

#[test]
fn forgetting_a_directory_forgets_only_what_is_below_it() {
    let cache = cache(8);
    for path in ["/d/sub/x", "/d/sub/y", "/d/submarine"] {
        cache.get_or_create(Path::new(path)).unwrap();
    }
    cache.forget_dir(Path::new("/d/sub"));
    assert_eq!(cache.open_count(), 1);
}
