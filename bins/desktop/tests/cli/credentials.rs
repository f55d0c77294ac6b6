//! Types of credentials.

use crate::support::User;

#[test]
fn the_types_are_listed_with_their_fields_and_schemas() {
    let user = User::new();
    let types = user.nebula(&["credentials", "types"]).exits(0).json();
    let types = types["types"].as_array().unwrap().clone();
    let names: Vec<_> = types
        .iter()
        .map(|it| it["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "api_key",
            "basic",
            "bearer",
            "header",
            "oauth2_client_credentials",
            "oauth2_refresh",
            "database_url",
            "ssh_key",
            "custom"
        ]
    );
    let basic = &types[1];
    assert_eq!(basic["fields"][0]["name"], "username");
    assert_eq!(basic["fields"][0]["secret"], false);
    assert_eq!(basic["fields"][1]["secret"], true);
    assert_eq!(basic["schema"]["properties"]["password"]["writeOnly"], true);
    assert_eq!(basic["schema"]["additionalProperties"], false);
    assert!(!user.home().exists(), "nothing is written");
}
