//! The command line and the settings: what is said, what is refused, and which value wins.

use std::fs;
use std::process::Stdio;

use crate::support::session::SIGN_KEY;
use crate::support::{Conn, Launch, Port};

/// Catches: a version that is not the package's.
#[test]
fn the_version_is_the_packages() {
    let ended = Launch::new().run(&["--version"]);
    assert!(ended.status.success(), "{}", ended.said());
    assert_eq!(ended.stdout.trim(), format!("interlock {}", env!("CARGO_PKG_VERSION")));
}

/// Catches: a mistake on the command line that is passed over, or refused without saying which.
#[test]
fn mistakes_are_named() {
    let launch = Launch::new();
    let cases: [(&[&str], &str); 14] = [
        (&["serve", "--no-such-flag"], "--no-such-flag"),
        (&["serve", "--cores", "zero"], "zero"),
        (&["serve", "--cores", "0"], "cores"),
        (&["serve", "--cores"], "--cores"),
        (&["serve", "--cores", "257"], "257"),
        (&["config", "--segment-bytes", "1"], "segment_bytes"),
        (&["serve", "--formations", "some.toml"], "--timetable"),
        (&["serve", "--port-offset", "70000"], "70000"),
        (&["serve", "--port-offset", "-1"], "-1"),
        (&["serve", "--listen", "not-an-address"], "not-an-address"),
        (&["serve", "surplus"], "surplus"),
        (&["sell"], "sell"),
        (&["log", "burn", "x"], "burn"),
        (&["log", "check"], "DIR"),
    ];
    for (args, name) in cases {
        launch.run(args).assert_refused(&[name]);
    }
    assert!(!launch.run(&[]).status.success(), "nothing to do is no success");
    assert!(!launch.home().join("data").exists(), "a refused command makes no data directory");
}

/// Catches: a setting that is mistyped, or means nothing, and is passed over.
#[test]
fn mistakes_in_settings_are_named() {
    let launch = Launch::new();
    let cases = [
        ("INVENTORY_HOLD_TTL_SECS", "soon"),
        ("INVENTORY_HOLD_TTL_SECS", "-1"),
        ("INVENTORY_HOLD_TTL_SECS", "0"),
        ("ORDER_INVENTORY_DEFAULT_QTY", "none"),
        ("ORDER_INVENTORY_CAPACITY", "100001"),
        ("INTERLOCK_DISK", "floppy"),
        ("INTERLOCK_SEGMENT_BYTES", "17"),
    ];
    for (name, value) in cases {
        launch.clone().env(name, value).serve_to_end().assert_refused(&[value]);
    }
    let file = launch.home().join("interlock.toml");
    let path = file.display().to_string();
    for (content, name) in [
        ("no_such_setting = 1\n", "no_such_setting"),
        ("cores = = 1\n", "interlock.toml"),
        ("cores = \"x\"\n", "x"),
    ] {
        fs::write(&file, content).expect("a file of settings");
        let ended = launch.run(&["config", "--config", &path]);
        if ended.status.success() {
            // What is only read by `serve` is refused there.
            launch.clone().args(&["--config", &path]).serve_to_end().assert_refused(&[name]);
        } else {
            ended.assert_refused(&[name]);
        }
    }
    launch.run(&["config", "--config", "no-such-file.toml"]).assert_refused(&["no-such-file.toml"]);
}

/// Catches: a panic where nobody reads what is said.
#[test]
fn a_closed_output_is_no_failure() {
    let launch = Launch::new().start().stop();
    let dir = launch.dir().display().to_string();
    for args in [&["config"] as &[&str], &["log", "check", &dir], &["log", "dump", &dir]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let child =
            launch.command().args(args).stdout(writer).stderr(Stdio::piped()).spawn().expect("it starts");
        let ended = child.wait_with_output().expect("it ends");
        assert!(ended.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ended.stderr));
    }
}

/// Catches: a value that wins over one that should win over it, or whose origin is not said.
#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let launch = Launch::new();
    let file = launch.home().join("interlock.toml");
    fs::write(&file, "listen = \"127.0.0.2\"\nport_offset = 11\ncores = 7\n").expect("a file of settings");
    let path = file.display().to_string();
    let launch = launch
        .env("INTERLOCK_PORT_OFFSET", "22")
        .env("INTERLOCK_CORES", "8")
        .env("INVENTORY_HOLD_TTL_SECS", "33");
    let ended = launch.run(&["config", "--config", &path, "--cores", "2"]);
    assert!(ended.status.success(), "{}", ended.said());
    let line = |name: &str| {
        let found = ended.stdout.lines().find(|line| line.replace('-', "_").starts_with(name));
        found.unwrap_or_else(|| panic!("no {name} in: {}", ended.stdout))
    };
    for (name, value, source) in [
        ("cores", "2", "flag"),
        ("port_offset", "22", "environment"),
        ("listen", "127.0.0.2", "file"),
        ("hold_ttl_secs", "33", "environment"),
        ("disk", "auto", "default"),
    ] {
        let line = line(name);
        assert!(line.contains(value) && line.contains(source), "{name} is {value} by {source}: {line}");
    }
}

/// Catches: settings that `config` shows and `serve` does not follow.
#[test]
fn a_server_follows_its_settings() {
    let launch = Launch::new();
    let file = launch.home().join("interlock.toml");
    fs::write(&file, "hold_ttl_secs = 1\nport_offset = 1\n").expect("a file of settings");
    let server = launch.args(&["--config", &file.display().to_string()]).start();
    let mut session = server.session();
    session.held("settings", "h", 1, 10);
    crate::support::until("a hold of a second to end", || {
        (session.available("settings") == 10).then_some(())
    });
}

/// Catches: a key that is printed; an open port on which anybody can mark orders as paid.
#[test]
fn payments_are_not_open_to_everybody() {
    let launch = Launch::new().args(&["--listen", "0.0.0.0"]);
    launch.serve_to_end().assert_refused(&["PAYMENT_CALLBACK_SIGN_KEY"]);
    let launch = launch.env("PAYMENT_CALLBACK_SIGN_KEY", SIGN_KEY);
    let shown = launch.run(&["config"]);
    assert!(
        shown.status.success() && !shown.said().contains(SIGN_KEY),
        "a secret is shown: {}",
        shown.said()
    );
    let server = launch.start();
    assert!(!server.log().contains(SIGN_KEY), "a secret is logged: {}", server.log());
    let mut conn = Conn::open(server.addr(Port::Order)).expect("a connection");
    conn.call("GET", "/healthz", &[], None).expect("an answer").ok();
}
