//! The key of the secrets in the keyring of the operating system: a real one, on a bus of its own.
//!
//! Without `dbus-daemon` and `gnome-keyring-daemon` the test says so and passes; with
//! `NEBULA_REQUIRE_BACKENDS=1` it fails.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use crate::support::{Said, User};

/// A session with a keyring that is unlocked, or with none.
struct Session {
    user: User,
    bus: String,
    processes: Vec<Child>,
}

impl Drop for Session {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

const BUS: &str = r#"<busconfig>
  <type>session</type>
  <listen>unix:path={bus}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

/// Whether both programs are there.
fn is_there() -> bool {
    let found = |name: &str| Command::new(name).arg("--version").output().is_ok();
    if found("dbus-daemon") && found("gnome-keyring-daemon") {
        return true;
    }
    let required =
        nebula_system::variable("NEBULA_REQUIRE_BACKENDS").is_some_and(|value| value == "1");
    assert!(!required, "dbus-daemon or gnome-keyring-daemon is missing");
    #[expect(clippy::print_stderr, reason = "a test that does not test must say so")]
    {
        eprintln!(
            "NOT TESTED: dbus-daemon or gnome-keyring-daemon is missing (apt-get install dbus gnome-keyring)"
        );
    }
    false
}

impl Session {
    fn new() -> Self {
        let user = User::new();
        let config = user.home().join("config");
        fs::create_dir_all(&config).unwrap();
        let settings = "[secrets]\nkey_in_keyring = true\n";
        fs::write(config.join("nebula.toml"), settings).unwrap();
        user.write("value.txt", "hunter2-Correct/Horse");
        // A bus that starts nothing by itself.
        let bus = user.work().join("bus").display().to_string();
        let bus = user.write("bus.conf", &BUS.replace("{bus}", &bus));
        let mut daemon = Command::new("dbus-daemon");
        daemon.args(["--nofork", "--print-address=1", "--config-file"]);
        daemon.arg(bus).stderr(Stdio::null());
        let mut daemon = daemon.stdout(Stdio::piped()).spawn().unwrap();
        let mut bus = String::new();
        let mut out = BufReader::new(daemon.stdout.take().unwrap());
        out.read_line(&mut bus).unwrap();
        Self {
            user,
            bus: bus.trim().to_owned(),
            processes: vec![daemon],
        }
    }

    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.user.work().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        folder
    }

    /// Starts the keyring, whose files are those of the last one that was started here.
    fn start_keyring(&mut self) {
        let mut keyring = Command::new("gnome-keyring-daemon");
        keyring
            .args(["--unlock", "--foreground", "--components=secrets"])
            .env("DBUS_SESSION_BUS_ADDRESS", &self.bus)
            .env("HOME", self.folder("keyring"))
            .env("XDG_DATA_HOME", self.folder("keyring-data"))
            .env("XDG_RUNTIME_DIR", self.folder("keyring-run"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut keyring = keyring.spawn().unwrap();
        keyring
            .stdin
            .take()
            .unwrap()
            .write_all(b"a password")
            .unwrap();
        self.processes.push(keyring);
        // It has the name on the bus once it can be asked.
        for _ in 0..10_000 {
            let asked = Command::new("dbus-send")
                .env("DBUS_SESSION_BUS_ADDRESS", &self.bus)
                .args(["--session", "--print-reply", "--dest=org.freedesktop.DBus"])
                .args(["/", "org.freedesktop.DBus.GetNameOwner"])
                .arg("string:org.freedesktop.secrets")
                .output();
            if asked.unwrap().status.success() {
                return;
            }
        }
        panic!("the keyring does not come");
    }

    fn stop_keyring(&mut self) {
        let mut keyring = self.processes.pop().unwrap();
        let pid = rustix::process::Pid::from_child(&keyring);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let mut rest = String::new();
        let _ = keyring.stdout.take().unwrap().read_to_string(&mut rest);
        keyring.wait().unwrap();
    }

    fn nebula(&self, arguments: &[&str]) -> Said {
        let mut command = self.user.command(arguments);
        command.env("DBUS_SESSION_BUS_ADDRESS", &self.bus);
        crate::support::said(command.output().unwrap())
    }

    fn ids(&self) -> String {
        let listed = self.nebula(&["secrets", "list"]).exits(0).json();
        listed["secrets"].to_string()
    }
}

const SET: [&str; 5] = ["secrets", "set", "shop", "--from", "value.txt"];

#[test]
fn the_key_may_lie_in_the_keyring_of_the_operating_system() {
    if !is_there() {
        return;
    }
    let mut session = Session::new();

    // Nobody has a keyring: it is said, and nothing is made.
    let said = session.nebula(&SET).exits(3);
    assert_eq!(said.error_code(), "STORE_KEY");
    said.says("no keyring of the operating system that could be asked");
    let secrets = session.user.home().join("data/secrets.nebula");
    assert!(!secrets.exists());

    // A key is made in it, and in no file; it outlives the keyring's process.
    session.start_keyring();
    session.nebula(&SET).exits(0);
    assert!(!session.user.home().join("config/secrets.key").exists());
    assert_eq!(session.ids(), r#"["shop"]"#);
    session.stop_keyring();
    session.start_keyring();
    assert_eq!(session.ids(), r#"["shop"]"#);

    // A rotation puts another key in its place; what was encrypted with the one before stays closed.
    let before = fs::read(&secrets).unwrap();
    let rotated = session.nebula(&["secrets", "rotate"]).exits(0).json();
    assert_eq!(rotated["secrets"], 1);
    assert_ne!(rotated["from"], rotated["to"]);
    assert_eq!(session.ids(), r#"["shop"]"#);
    let after = fs::read(&secrets).unwrap();
    fs::write(&secrets, before).unwrap();
    let said = session.nebula(&["secrets", "list"]).exits(3);
    assert_eq!(said.error_code(), "STORE_KEY");
    said.says("in the keyring of this user");
    fs::write(&secrets, after).unwrap();
    assert_eq!(session.ids(), r#"["shop"]"#);

    // A keyring that has no such item, over secrets that are there: nothing is written.
    session.stop_keyring();
    fs::remove_dir_all(session.user.work().join("keyring-data")).unwrap();
    session.start_keyring();
    let kept = fs::read(&secrets).unwrap();
    let said = session.nebula(&SET).exits(3);
    assert_eq!(said.error_code(), "STORE_KEY");
    said.says("is not there");
    assert_eq!(fs::read(&secrets).unwrap(), kept);

    // Two sources are one too many.
    let settings = "[secrets]\nkey_in_keyring = true\nkey_variable = \"X\"\n";
    fs::write(session.user.home().join("config/nebula.toml"), settings).unwrap();
    let said = session.nebula(&["secrets", "list"]).exits(2);
    said.says("several places at once");
}

/// Guard: the time for a question. Whoever holds the bus takes the connection and never says a word; without
/// the limit this test does not end.
#[test]
fn a_keyring_that_never_answers_is_given_up() {
    let user = User::new();
    let config = user.home().join("config");
    fs::create_dir_all(&config).unwrap();
    let settings = "[secrets]\nkey_in_keyring = true\nkeyring_timeout = \"300ms\"\n";
    fs::write(config.join("nebula.toml"), settings).unwrap();
    user.write("value.txt", "hunter2-Correct/Horse");
    // Connections wait in its queue, for ever.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus");
    let _listener = UnixListener::bind(&path).unwrap();
    let mut command = user.command(&SET);
    command.env(
        "DBUS_SESSION_BUS_ADDRESS",
        format!("unix:path={}", path.display()),
    );
    let said = crate::support::said(command.output().unwrap()).exits(3);
    assert_eq!(said.error_code(), "STORE_KEY");
    said.says("took longer than 300ms");
    assert!(!user.home().join("data/secrets.nebula").exists());
}
