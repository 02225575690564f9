//! Rules about the source that no compiler checks; each names what to do instead.

use std::path::{Path, PathBuf};

/// Every Rust source file below `folder` (relative to the repository) that is not a test.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a source folder") {
            let path = entry.expect("a source folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.to_string_lossy().ends_with("_test.rs")
            {
                let text = std::fs::read_to_string(&path).expect("source is UTF-8");
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "no sources in {folder}");
    found
}

/// Where files may be removed: a user's DROP takes a view's state with it, and a test cleans up after itself.
const MAY_REMOVE: [&str; 2] = ["sql/src/runtime/job.rs", "streams/src/state/host_contract.rs"];

/// State is repaired by replaying its changelog onto it, never by removing it. What a store may do is delete keys
/// (expired panes, user deletes); no code of the runtime, the DSL or SQL may remove a state directory or a database.
#[test]
fn no_code_path_deletes_a_state_store() {
    const FORBIDDEN: [&str; 6] = [
        "remove_dir_all",
        "remove_dir(",
        "remove_file",
        "DB::destroy",
        "drop_cf",
        "delete_file_in_range",
    ];
    for folder in ["streams/src", "sql/src"] {
        for (path, text) in sources(folder) {
            if MAY_REMOVE.iter().any(|allowed| path.ends_with(allowed)) {
                continue;
            }
            for (number, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                for word in FORBIDDEN {
                    assert!(
                        !code.contains(word),
                        "{}:{}: `{word}`: state is never deleted to recover; replay the changelog instead",
                        path.display(),
                        number + 1
                    );
                }
            }
        }
    }
}

/// Every file opens by saying what it is.
#[test]
fn every_source_file_opens_with_a_module_doc() {
    for folder in [
        "src",
        "log/src",
        "streams/src",
        "sql/src",
        "examples",
        "benches",
        "tests",
    ] {
        for (path, text) in sources(folder) {
            assert!(
                text.starts_with("//! "),
                "{} must begin with `//! what it is`",
                path.display()
            );
        }
    }
}
