//! MariaDB's own client.

use std::process::Command;

use super::{Services, output};

impl Services {
    /// The rows that a query of a database gives, `None` for NULL.
    ///
    /// # Panics
    /// The client fails.
    pub fn mysql(&self, database: &str, sql: &str) -> Vec<Vec<Option<String>>> {
        let dsn = self.setting("MYSQL_DSN");
        let (account, place) = dsn.split_once("@tcp(").expect("an address");
        let (user, password) = account.split_once(':').expect("a password");
        let (address, _) = place.split_once(")/").expect("a database");
        let (host, port) = address.split_once(':').expect("a port");
        let mut client = Command::new("mariadb");
        client.args(["--no-defaults", "--batch", "--skip-column-names", "--default-character-set=utf8mb4"]);
        client.args(["--host", host, "--port", port, "--user", user, database, "--execute", sql]);
        let rows = output(client.env("MYSQL_PWD", password));
        rows.lines().map(|row| row.split('\t').map(value).collect()).collect()
    }
}

/// Tabs, line ends and backslashes are written as C does.
fn value(text: &str) -> Option<String> {
    if text == "NULL" {
        return None;
    }
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some('t') => value.push('\t'),
                Some('n') => value.push('\n'),
                Some('0') => value.push('\0'),
                Some(other) => value.push(other),
                None => {}
            },
            char => value.push(char),
        }
    }
    Some(value)
}
