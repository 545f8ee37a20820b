//! `interlock log check` and `interlock log dump` on a stopped directory.

use serde_json::Value;

use crate::support::Launch;
use crate::support::process::assert_untouched;

/// Catches: tools that write, that do not see what is there, or that print something else than JSON lines.
#[test]
fn a_stopped_directory_can_be_looked_into() {
    for kill in [false, true] {
        let server = Launch::new().cores(2).start();
        let mut session = server.session();
        let order = session.new_order("a-key-to-be-found-in-the-log");
        session.held("a-partition-to-be-found", "a-hold-to-be-found", 2, 10);
        let launch = if kill { server.kill() } else { server.stop() };
        let dir = launch.dir().display().to_string();
        let before = launch.files();

        let check = launch.run(&["log", "check", &dir]);
        assert!(check.status.success(), "{}", check.said());
        assert!(check.stdout.contains("records"), "it says what it holds: {}", check.stdout);
        assert_untouched(&before, &launch.files());

        let dump = launch.run(&["log", "dump", &dir]);
        assert!(dump.status.success(), "{}", dump.said());
        assert_untouched(&before, &launch.files());
        let lines: Vec<Value> = dump
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("no JSON ({e}): {line}")))
            .collect();
        let mentions = |what: &str| lines.iter().filter(|line| line.to_string().contains(what)).count();
        for what in ["a-key-to-be-found-in-the-log", &order, "a-partition-to-be-found", "a-hold-to-be-found"]
        {
            assert!(mentions(what) > 0, "{what} is in no line of: {}", dump.stdout);
        }
        assert!(lines.iter().all(Value::is_object), "a record is an object");
    }
}

/// Catches: tools that make a directory, or take any for an empty one.
#[test]
fn what_is_no_directory_of_ours_is_said_so() {
    let launch = Launch::new();
    for tool in ["check", "dump"] {
        let absent = launch.home().join("absent");
        launch.run(&["log", tool, &absent.display().to_string()]).assert_refused(&["absent"]);
        assert!(!absent.exists());
        let empty = launch.home().join("empty");
        std::fs::create_dir_all(&empty).expect("a directory");
        launch.run(&["log", tool, &empty.display().to_string()]).assert_refused(&["empty"]);
        assert_eq!(std::fs::read_dir(&empty).expect("the directory").count(), 0, "nothing was written");
    }
}
