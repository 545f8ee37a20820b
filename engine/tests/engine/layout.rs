//! The layout of everything that is archived, as its definitions say it: names, order and types of all fields and variants.
//! Golden bytes show what the examples have in them; this shows the rest (a variant behind the last one, an option that no
//! example fills).
//!
//! The kept descriptions are `tests/golden/layout_v1.txt` and so on. That of the newest version is written where it is absent
//! and `INTERLOCK_MAKE_GOLDEN` is set, once for each version. An older version has the types of the newest but for those that
//! its own files define.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use engine::record::{RECORD_VERSION, Record};
use engine::state::IMAGE_VERSION;

/// Where archived types are defined.
const SOURCES: [&str; 8] = [
    "src/record/v2.rs",
    "src/message.rs",
    "src/ids.rs",
    "src/status.rs",
    "src/catalogue.rs",
    "src/text.rs",
    "src/state/image/v2.rs",
    "../allocator/src/layout.rs",
];
/// The modules that define the types of version 1 that have changed since.
const SOURCES_V1: [&str; 2] = ["src/record/v1.rs", "src/state/image/v1.rs"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The definitions with `Archive` among their derives, each on one line, without comments and other attributes.
fn definitions(source: &str) -> Vec<String> {
    let lines = source.lines().map(|line| line.split("//").next().unwrap_or_default().trim());
    let text = lines.collect::<Vec<_>>().join(" ");
    let mut found = Vec::new();
    for (at, _) in text.match_indices("#[derive(") {
        let derives_end = at + text[at..].find(")]").expect("a derive ends");
        if !text[at..derives_end].contains("Archive") {
            continue;
        }
        let item = &text[derives_end + 2..];
        let item =
            item[item.find("struct ").into_iter().chain(item.find("enum ")).min().expect("a type")..].trim();
        found.push(normal(&item[..end_of(item)]));
    }
    // Types by macro: all have the same shape, which is found above.
    for (at, _) in text.match_indices("text_id!(") {
        found.push(normal(&text[at..at + text[at..].find(");").expect("a macro ends")]));
    }
    found
}

/// Where a definition ends: behind its braces, or at its semicolon.
fn end_of(item: &str) -> usize {
    let mut depth = 0;
    for (at, character) in item.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at,
            _ => {}
        }
    }
    panic!("a definition ends: {item:?}");
}

/// One blank between words, no attributes, no commas before an end.
fn normal(item: &str) -> String {
    let mut text = String::new();
    let mut rest = item;
    while let Some(at) = rest.find("#[") {
        text.push_str(&rest[..at]);
        rest = &rest[at + rest[at..].find(']').expect("an attribute ends") + 1..];
    }
    text.push_str(rest);
    let words: Vec<_> = text
        .replace("pub(crate) ", "")
        .replace("pub(super) ", "")
        .replace("pub ", "")
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    words.join(" ").replace(", }", " }").replace(", )", ")").replace("( ", "(")
}

fn defined_in(sources: &[&str]) -> Vec<String> {
    let read = |source: &&str| std::fs::read_to_string(root().join(source)).expect("a source file");
    sources.iter().flat_map(|source| definitions(&read(source))).collect()
}

/// In which file and order they stand is no part of the layout.
fn description() -> BTreeSet<String> {
    let archived = (size_of::<rkyv::Archived<Record>>(), align_of::<rkyv::Archived<Record>>());
    let size =
        format!("a record takes {} bytes, aligned to {}, and what it points to", archived.0, archived.1);
    defined_in(&SOURCES).into_iter().chain([size]).collect()
}

/// `struct Name`, or `enum Name`.
fn name(definition: &str) -> String {
    let words: Vec<_> = definition.split([' ', '(']).take(2).collect();
    words.join(" ")
}

fn golden(version: u8) -> PathBuf {
    root().join("tests/golden").join(format!("layout_v{version}.txt"))
}

fn kept(version: u8) -> BTreeSet<String> {
    let kept = std::fs::read_to_string(golden(version)).expect("the description of this version");
    kept.lines().map(str::to_owned).collect()
}

#[test]
fn a_change_of_layout_needs_a_new_version() {
    let (now, path) = (description(), golden(RECORD_VERSION));
    if std::env::var_os("INTERLOCK_MAKE_GOLDEN").is_some() && !path.exists() {
        let lines: Vec<_> = now.iter().map(String::as_str).collect();
        std::fs::write(&path, lines.join("\n") + "\n").expect("a writable folder");
    }
    let kept = kept(RECORD_VERSION);
    assert_eq!(
        kept.symmetric_difference(&now).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "an archived type is no longer laid out as version {RECORD_VERSION} of records ({IMAGE_VERSION} of images) is, and old \
         data directories would be misread: raise RECORD_VERSION and IMAGE_VERSION, read the old layout beside the new one, and \
         make new golden files with INTERLOCK_MAKE_GOLDEN=1 (if only a name has changed, change it in {} too)",
        path.display()
    );
    assert_eq!(RECORD_VERSION, IMAGE_VERSION, "one description is for both");
}

#[test]
fn version_1_is_read_as_it_was_laid_out() {
    let old = defined_in(&SOURCES_V1);
    let changed: BTreeSet<_> = old.iter().map(|definition| name(definition)).collect();
    let mut kept = kept(1);
    // What came since is not its own.
    let its_own: BTreeSet<_> = kept.iter().map(|definition| name(definition)).collect();
    let same = defined_in(&SOURCES).into_iter().filter(|definition| {
        let name = name(definition);
        its_own.contains(&name) && !changed.contains(&name)
    });
    let all: BTreeSet<_> = same.chain(old).collect();
    // A record's size stands there as well.
    kept.retain(|line| !line.starts_with("a record takes"));
    assert_eq!(kept.symmetric_difference(&all).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn all_archived_types_are_described() {
    let text = description();
    for name in [
        "struct Record ",
        "enum Body ",
        "struct HoldImage ",
        "enum Fact ",
        "enum Layout ",
        "struct $name(Text)",
    ] {
        assert!(text.iter().any(|line| line.contains(name)), "{name} is missing in\n{text:?}");
    }
    assert!(text.len() > 30, "{text:?}");
    // Nowhere else is anything archived.
    let mut folders = vec![root().join("src"), root().join("../allocator/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a source folder") {
            let path = entry.expect("a source file").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let archives = !definitions(&std::fs::read_to_string(&path).expect("a source file")).is_empty();
            let listed = SOURCES
                .iter()
                .chain(&SOURCES_V1)
                .any(|source| path.ends_with(source.trim_start_matches("../")));
            assert!(listed || !archives, "{} has archived types that are not described", path.display());
        }
    }
}

#[test]
fn definitions_are_found_and_made_plain() {
    let source = "/// Doc.\n#[derive(Clone, rkyv::Archive)]\n#[repr(u8)]\npub enum A {\n    /// One.\n    B, // so\n    \
                  C { d: u8 },\n}\n#[derive(Debug)]\nstruct No;\n#[derive(Archive)]\npub(crate) struct E(pub u64);";
    assert_eq!(definitions(source), ["enum A { B, C { d: u8 } }", "struct E(u64)"]);
}
