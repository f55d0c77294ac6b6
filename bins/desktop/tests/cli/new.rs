//! What a new user begins with: templates, and a look at the settings.

use std::fs;

use serde_json::json;

use crate::support::User;

#[test]
fn every_template_is_a_valid_definition() {
    let user = User::new();
    let listed = user.nebula(&["new"]).exits(0).json();
    let templates = listed["templates"].as_array().unwrap();
    assert!(templates.len() >= 3, "{listed}");
    for template in templates {
        let name = template["template"].as_str().unwrap();
        assert!(!template["about"].as_str().unwrap().is_empty());
        let made = user.nebula(&["new", name]).exits(0).json();
        let file = made["file"].as_str().unwrap();
        user.nebula(&["validate", file]).exits(0);
    }
    let hello = user
        .nebula(&["run", "hello.yaml", "--input", "name=Ada"])
        .exits(0);
    assert_eq!(hello.json()["output"]["text"], "Hello, Ada!");
    let asks = user
        .nebula(&["run", "approval.yaml", "--input", "amount=7"])
        .exits(4)
        .json();
    let id = asks["execution"].as_str().unwrap();
    let paid = user
        .nebula(&["executions", "approve", id, "--by", "ada"])
        .exits(0)
        .json();
    assert_eq!(paid["output"], json!({ "amount": 7, "by": ["ada"] }));

    // Nothing is overwritten, and a name that is misspelt is told.
    fs::write(user.work().join("hello.yaml"), "mine").unwrap();
    let there = user.nebula(&["new", "hello"]).exits(2);
    assert_eq!(there.error_code(), "FILE_EXISTS");
    assert_eq!(
        fs::read_to_string(user.work().join("hello.yaml")).unwrap(),
        "mine"
    );
    user.nebula(&["new", "hello", "other.yaml"]).exits(0);
    user.nebula(&["new", "helo"])
        .exits(2)
        .says("did you mean `hello`?");
}

#[test]
fn every_setting_says_where_it_comes_from() {
    let user = User::new();
    fs::create_dir_all(user.home().join("config")).unwrap();
    let file = "[serve]\ngrace = \"7s\"\n[vars]\n\"a.b\" = 1\n";
    fs::write(user.home().join("config/nebula.toml"), file).unwrap();
    let mut command = user.command(&["config", "show", "--sources", "--log", "error"]);
    let output = command
        .env("NEBULA_ENGINE__CONCURRENCY", "9")
        .output()
        .unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |key: &str| {
        let it = &shown["settings"][key];
        (
            it["value"].clone(),
            it["source"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let (grace, source) = of("serve.grace");
    assert_eq!(grace, json!("7s"));
    assert!(
        source.ends_with("nebula.toml:2:1") || source.contains("nebula.toml:2:"),
        "{source}"
    );
    assert_eq!(of("vars.a.b").0, json!(1), "{shown}");
    assert_eq!(
        of("engine.concurrency"),
        (
            json!(9),
            "environment variable NEBULA_ENGINE__CONCURRENCY".to_owned()
        )
    );
    assert_eq!(of("log.filter"), (json!("error"), "flag --log".to_owned()));
    assert_eq!(
        of("serve.listen"),
        (json!("127.0.0.1:7400"), "default".to_owned())
    );
    let plain = user.nebula(&["config", "show"]).exits(0).json();
    assert_eq!(plain["serve"]["grace"], "7s");
}
