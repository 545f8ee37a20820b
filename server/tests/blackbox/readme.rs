//! The commands of the README, pasted one after the other into one shell, against the built binary.

use std::process::Command;

use crate::support::{Launch, Port, skipped, until};

/// The shell commands of the README, in order, with this server's ports for the standard ones.
fn commands(launch: &Launch) -> Vec<String> {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = std::fs::read_to_string(readme).expect("the README");
    let mut blocks = Vec::new();
    let mut rest = readme.as_str();
    while let Some((_, from)) = rest.split_once("```sh\n") {
        let (block, after) = from.split_once("```").expect("a block ends");
        blocks.push(block.to_owned());
        rest = after;
    }
    for (standard, port) in [
        (":8080", Port::Gateway),
        (":8081", Port::Order),
        (":8082", Port::Inventory),
        (":8083", Port::Query),
        (":8084", Port::Worker),
    ] {
        let own = format!(":{}", launch.addr(port).port());
        blocks.iter_mut().for_each(|block| *block = block.replace(standard, &own));
    }
    // All is pasted in one second, however long it takes: what is pasted again asks for the same order.
    blocks.iter_mut().for_each(|block| *block = block.replace("$(date +%s)", "1800000000"));
    blocks
}

fn shell(script: &str) -> String {
    let output = Command::new("sh").args(["-e", "-c", script]).output().expect("a shell");
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_readme_sells_a_seat() {
    if Command::new("curl").arg("--version").output().is_err() {
        skipped("there is no curl to paste the README's commands for");
        return;
    }
    let launch = Launch::new();
    let _server = launch.start();
    let blocks = commands(&launch);
    assert_eq!(
        blocks.len(),
        8,
        "search, create, reserve, pay, see, what is left, the gateway, a purchase: {blocks:#?}"
    );

    let pasted = shell(&blocks[..4].join("\necho @@@\n"));
    let said: Vec<&str> = pasted.split("@@@").collect();
    assert!(said[0].contains("\"partition_key\":\"G1|"), "the README goes on with G1: {pasted}");
    assert_eq!(said[1].trim().len(), 36, "an order's id: {pasted}");
    assert!(said[2].contains("\"Status\":\"RESERVED\"") && said[2].contains("\"ToIndex\":2"), "{pasted}");
    assert!(
        ["PAID", "TICKETED"].iter().any(|s| said[3].contains(&format!("\"Status\":\"{s}\""))),
        "{pasted}"
    );
    // The same key gives the same order, so the shell of the next paste finds it again.
    let seen = format!("{}{}", blocks[1], blocks[4]);
    let ticket =
        until("a ticket", || Some(shell(&seen)).filter(|seen| seen.contains("\"status\":\"TICKETED\"")));
    assert!(ticket.contains("\"seats\":[\"") && ticket.contains("\"seat_no\":\""), "{ticket}");
    let left = shell(&blocks[5]);
    let left: Vec<i64> = left
        .split("\"available\":")
        .skip(1)
        .map(|rest| {
            rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect("a number")
        })
        .collect();
    assert_eq!(left.len(), 2, "two stretches");
    assert_eq!(left[1] - left[0], 2, "two seats are sold on the first stretch, and free on the second");
    let gateway = until("a ticket through the gateway", || {
        Some(shell(&blocks[6])).filter(|seen| seen.contains("\"Status\":\"TICKETED\""))
    });
    assert!(gateway.contains("\"Seats\":[\""), "{gateway}");
    let purchase = shell(&blocks[7]);
    assert!(
        ["PAID", "TICKETED"].iter().any(|s| purchase.contains(&format!("\"Status\":\"{s}\""))),
        "{purchase}"
    );
}
