//! How much of what is not a read the tables describe: of each kind, the rows whose parameters somebody has read.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::{collections::BTreeMap, fs, path::Path};

/// Of a kind: how many rows say something, how many were read and say nothing, and all.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    says: usize,
    nothing: usize,
    all: usize,
}

// Of 100 rows of the kind. What is left out are houses' older interfaces, brokers' and what no library has.
const FLOORS: [(&str, usize); 6] = [
    ("withdraw", 91),
    ("transfer", 78),
    ("key-admin", 75),
    ("trade", 72),
    ("leverage", 82),
    ("cancel", 81),
];

#[test]
fn the_tables_say_what_most_endpoints_say() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let mut files: Vec<_> = fs::read_dir(data)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let mut all: BTreeMap<String, Count> = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let Some(rows) = table.get("table") else {
            continue;
        };
        let mut here: BTreeMap<String, Count> = BTreeMap::new();
        for row in rows["endpoints"].as_array().unwrap() {
            let cell = |at: usize| {
                row.get(at)
                    .and_then(|cell| cell.as_str())
                    .unwrap_or_default()
            };
            if matches!(cell(2), "read" | "public" | "not-served") {
                continue;
            }
            for counts in [&mut all, &mut here] {
                let count = counts.entry(cell(2).to_owned()).or_default();
                count.all += 1;
                count.says += usize::from(!matches!(cell(4), "" | "none"));
                count.nothing += usize::from(cell(4) == "none");
            }
        }
        let kinds = here
            .iter()
            .map(|(kind, c)| format!("{kind} {}+{} of {}", c.says, c.nothing, c.all));
        println!(
            "{}: {}",
            file.file_stem().unwrap().display(),
            kinds.collect::<Vec<_>>().join(", ")
        );
    }
    println!("{all:#?}");
    for (kind, floor) in FLOORS {
        let count = all[kind];
        let read = count.says + count.nothing;
        assert!(read * 100 >= count.all * floor, "{kind}: {count:?}");
    }
}
