//! The page about operating executions, command by command.

use serde_json::Value;

use crate::support::{User, lines};

const PAGE: &str = include_str!("../../../../docs/operating.md");

/// The words of a command line; what stands in single quotes is one of them.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (place, part) in line.split('\'').enumerate() {
        if place % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[test]
fn every_command_of_the_page_does_what_it_says() {
    let user = User::new();
    let (mut id, mut commands) = (String::new(), 0);
    let mut outputs: Vec<Value> = Vec::new();
    for block in PAGE.split("```").skip(1).step_by(2) {
        let (head, body) = block.split_once('\n').unwrap();
        if let Some(name) = head.strip_prefix("yaml ") {
            user.write(name, body);
            continue;
        }
        if head == "text" {
            // What asks for a value at a terminal, or needs a server.
            continue;
        }
        assert_eq!(head, "console");
        for line in body.lines().map(|line| line.strip_prefix("$ ").unwrap()) {
            let (line, code) = match line.split_once("# exits with ") {
                Some((line, code)) => (line, code.parse().unwrap()),
                None => (line, 0),
            };
            if let Some(line) = line.strip_prefix("printf ") {
                let (content, name) = line.split_once(" > ").unwrap();
                user.write(name, content);
                continue;
            }
            let words = words(&line.replace("ID", &id));
            let (program, arguments) = words.split_first().unwrap();
            assert_eq!(program, "nebula");
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let said = user.nebula(&arguments).exits(code);
            commands += 1;
            // A replay gives lines, and looks only.
            let makes = arguments[0] == "run" || ["retry", "restart"].contains(&arguments[1]);
            if makes {
                let document = said.json();
                id = document["execution"].as_str().unwrap().to_owned();
                outputs.push(document["output"].clone());
            }
        }
    }
    assert_eq!((commands, outputs.len()), (28, 13));
    assert_eq!(outputs[12], serde_json::json!({ "healthy": false }));
    let ledger = lines(&user.work().join("ledger.txt"));
    // From `count` on, then all of it, then once more with labels.
    let restarted = ["6 letters.", "begun.", "6 letters.", "begun.", "6 letters."];
    assert_eq!(
        ledger[..2],
        ["begun.", "6 letters."],
        "the retry writes no second beginning"
    );
    assert_eq!(ledger[2..], restarted, "trials and dry runs write nothing");
    let letters: Vec<_> = outputs[6..10]
        .iter()
        .map(|it| it["letters"].clone())
        .collect();
    assert_eq!(letters, [Value::from(6), 3.into(), Value::Null, 3.into()]);
}
