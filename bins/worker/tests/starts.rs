//! The program as it is built; what it does is tested with the others of a fleet, in `bins/fleet`.

use std::process::Command;

#[test]
fn it_says_what_it_is() {
    let output = Command::new(env!("CARGO_BIN_EXE_nebula-worker"))
        .arg("--version")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        said,
        concat!("nebula-worker ", env!("CARGO_PKG_VERSION"), "\n")
    );
    let output = Command::new(env!("CARGO_BIN_EXE_nebula-worker"))
        .arg("--nothing")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("\"USAGE\""), "{said}");
}
