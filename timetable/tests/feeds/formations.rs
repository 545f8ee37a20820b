//! Formations files: what they say, and how wrong ones are refused.

use timetable::{Class, DateWindow, Timetable};

use crate::feed::Feed;

fn read(formations: &str) -> Result<Timetable, String> {
    Feed::new().with("formations.toml", formations).try_load().map_err(|error| error.to_string())
}

/// `kind: class seats, class seats` of a train.
fn formation(timetable: &Timetable, train: &str) -> String {
    let run = timetable.run(train, "2027-01-02".parse().unwrap()).unwrap();
    let class = |class: &Class| {
        assert_eq!(class.seats, class.layout.seats());
        assert_eq!(run.class(&class.name), Some(&class.layout));
        format!("{} {}", class.name, class.seats)
    };
    assert_eq!(run.class("none"), None);
    format!("{}: {}", run.kind(), run.classes().iter().map(class).collect::<Vec<_>>().join(", "))
}

const SMALL: &str = r#"
[[kinds]]
name = "small"
[[kinds.coaches]]
numbers = ["A", "B"]
seats = [
    { class = "2nd", rows = 3, plan = "AB C" },
    { class = "1st", rows = 2, plan = "A C" },
    { class = "2nd", rows = 1, plan = "AB", first_row = 11 },
]
"#;

#[test]
fn built_in_kinds() {
    let timetable = Feed::new().load();
    assert_eq!(formation(&timetable, "G1"), "16-car: business 10, 1st 148, 2nd 1063");
    assert_eq!(formation(&timetable, "K9/8"), "8-car: business 10, 1st 28, 2nd 538");
}

/// Catches: examples of docs/timetables.md that nobody can load.
#[test]
fn the_examples_of_the_page_are_formations() {
    let page = include_str!("../../../docs/timetables.md");
    let examples = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().expect("an end"));
    let examples: String = examples.collect();
    let timetable = read(&examples).unwrap();
    assert_eq!(formation(&timetable, "G1"), "railcar: 1st 9, 2nd 120");
    let night = Feed::new().with("formations.toml", examples);
    let timetable = night.replaced("trips.txt", "K9/8", "NJ 40").load();
    assert_eq!(formation(&timetable, "NJ 40"), "night: berth 72, seat 66");
    assert!(timetable.has_own_formations());
    assert_eq!(timetable.kinds().collect::<Vec<_>>(), [("railcar", 1), ("night", 1)]);
}

#[test]
fn kinds_and_rules() {
    let check = |head: &str, g1: &str, k9: &str| {
        let timetable = read(&format!("{head}{SMALL}")).unwrap();
        let kind = |train| formation(&timetable, train).split(':').next().unwrap().to_owned();
        assert_eq!((kind("G1").as_str(), kind("K9/8").as_str()), (g1, k9), "{head}");
    };
    check("", "8-car", "8-car");
    check("default = \"small\"\n", "small", "small");
    check("default = \"16-car\"\n[[rules]]\nkind = \"small\"\ntrains = [\"K*\"]\n", "16-car", "small");
    check("[[rules]]\nkind = \"small\"\ntrains = [\"X\", \"K#/#\"]\n", "8-car", "small");
    check("[[rules]]\nkind = \"small\"\nroute_types = [101, 2]\n", "small", "small");
    check("[[rules]]\nkind = \"small\"\ntrains = [\"G1\"]\nroute_types = [101]\n", "8-car", "8-car");
    // The first that fits.
    let rules =
        "[[rules]]\nkind = \"16-car\"\ntrains = [\"G*\"]\n[[rules]]\nkind = \"small\"\ntrains = [\"*\"]\n";
    check(rules, "16-car", "small");
}

#[test]
fn seats_go_through_the_coaches_in_order() {
    let timetable = read(&format!("default = \"small\"\n{SMALL}")).unwrap();
    assert_eq!(formation(&timetable, "G1"), "small: 2nd 22, 1st 8");
    let run = timetable.run("G1", "2027-01-02".parse().unwrap()).unwrap();
    let labels = |class: &str| {
        let layout = run.class(class).unwrap();
        (0..layout.seats()).map(|seat| layout.label(allocator::SeatNo(seat))).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(labels("1st"), "A-4A A-4C A-5A A-5C B-4A B-4C B-5A B-5C");
    let coach = "1A 1B 1C 2A 2B 2C 3A 3B 3C 11A 11B";
    let expected: Vec<String> = ["A", "B"]
        .iter()
        .flat_map(|letter| coach.split(' ').map(move |seat| format!("{letter}-{seat}")))
        .collect();
    assert_eq!(labels("2nd"), expected.join(" "));
}

#[test]
fn a_kind_may_take_the_place_of_a_built_in_one() {
    let timetable = read(&SMALL.replace("small", "8-car")).unwrap();
    assert_eq!(formation(&timetable, "G1"), "8-car: 2nd 22, 1st 8");
}

#[test]
fn a_named_file_goes_before_the_one_beside_the_feed() {
    let directory = tempfile::TempDir::new().unwrap();
    Feed::new().with("formations.toml", "broken").write(directory.path());
    let path = directory.path().join("other.toml");
    std::fs::write(&path, format!("default = \"small\"\n{SMALL}")).unwrap();
    let timetable = Timetable::load_strict(directory.path(), Some(&path), DateWindow::WHOLE).unwrap();
    assert_eq!(formation(&timetable, "G1"), "small: 2nd 22, 1st 8");
    let nowhere = directory.path().join("nowhere.toml");
    let error = Timetable::load_strict(directory.path(), Some(&nowhere), DateWindow::WHOLE).unwrap_err();
    assert_eq!((error.file.as_str(), error.line), (nowhere.to_str().unwrap(), None));
    assert!(error.what.starts_with("cannot be read: "), "{error}");
}

#[test]
fn refusals() {
    let check = |text: &str, expected: &str| {
        let error = read(text).err();
        assert_eq!(error.as_deref(), Some(format!("formations.toml:{expected}").as_str()), "{text}");
    };
    let small = |from: &str, to: &str| {
        assert!(SMALL.contains(from));
        SMALL.replacen(from, to, 1)
    };
    check("default = \"big\"\n", "1: unknown kind big");
    check("\n[[rules]]\nkind = \"big\"\ntrains = [\"G1\"]\n", "3: unknown kind big");
    check(
        "[[rules]]\nkind = \"8-car\"\n",
        "2: a rule for neither trains nor route_types: that is what default is for",
    );
    check(
        "[[rules]]\nkind = \"8-car\"\ntrain = [\"G1\"]\n",
        "3: unknown field `train`, expected one of `kind`, `trains`, `route_types`",
    );
    let long = format!("[[rules]]\nkind = \"8-car\"\ntrains = [\n\"a\",\n\"{}\"]\n", "G".repeat(97));
    check(&long, "5: a pattern of more than 96 bytes");
    check(&format!("{SMALL}{SMALL}"), "13: kind small stands twice");
    check("[[kinds]]\nname = \"none\"\n", "2: kind none has 0 classes, not 1 to 16");
    check(&small("\"B\"]", "\"A\"]"), "5: coach A stands twice in kind small");
    check(
        &small("\"B\"]", "\"B-1\"]"),
        "5: kind small: coach number \"B-1\" is not 1 to 16 bytes without blanks, '-', ',' and control characters",
    );
    check(&small("first_row = 11", "first_row = 4"), "5: kind small: coach \"A\": row 4 comes twice");
    check(
        &small("rows = 3", "rows = 0"),
        "5: kind small: coach \"A\": 0 rows from 1 are none or go beyond 65535",
    );
    check(&small("rows = 3", "rows = \"three\""), "7: invalid type: string \"three\", expected u16");
    check(&small("AB C", "AA C"), "5: kind small: coach \"A\": letter 'A' comes twice in plan \"AA C\"");
    check(
        &small("class = \"1st\"", "class = \"1|st\""),
        "8: class \"1|st\" is not 1 to 20 bytes without |, control characters and outer blanks",
    );
    check(
        &small("class = \"1st\"", "class = \" \""),
        "8: class \" \" is not 1 to 20 bytes without |, control characters and outer blanks",
    );
    check(
        &small("rows = 3", "rows = 400").replace("11", "500"),
        "7: kind small, class 2nd: 2404 seats are more than 2000",
    );
}
