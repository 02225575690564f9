//! Golden plans: `tests/plans/NAME.sql` and, beside it, what EXPLAIN says. A new DataFusion that plans differently shows up here.
//!
//! `MILLPOND_BLESS=1` writes the texts anew.

use std::path::Path;

use datafusion::arrow::array::AsArray;

use crate::node::{FLIGHTS, Node};

#[tokio::test(flavor = "multi_thread")]
async fn plans_are_what_they_were() {
    let node = Node::start().await;
    node.run(FLIGHTS).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "sql"))
        .collect();
    names.sort();
    assert!(names.len() >= 5, "{} plans", names.len());
    let mut changed = Vec::new();
    for path in names {
        let sql = std::fs::read_to_string(&path).unwrap();
        let batches = node.rows(&sql).await;
        let lines: Vec<&str> = batches
            .iter()
            .flat_map(|b| b.column(0).as_string::<i32>().iter().flatten())
            .collect();
        let text = format!("{}\n", lines.join("\n"));
        let golden = path.with_extension("txt");
        if std::env::var_os("MILLPOND_BLESS").is_some() {
            std::fs::write(&golden, &text).unwrap();
        }
        let wanted = std::fs::read_to_string(&golden).unwrap_or_default();
        if wanted != text {
            changed.push(format!("{}\n--- wanted\n{wanted}--- got\n{text}", path.display()));
        }
    }
    assert!(changed.is_empty(), "{}", changed.join("\n"));
}
