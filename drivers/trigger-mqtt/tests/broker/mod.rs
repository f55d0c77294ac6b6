//! A broker of its own for a test: `mosquitto` on 127.0.0.1, in a temporary folder.

#![allow(
    dead_code,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "each test file uses a part of it; it runs another program, and says where there is none"
)]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rumqttc::mqttbytes::{
    QoS,
    v4::{Connect, Packet, Publish},
};
use tempfile::TempDir;

/// How long a broker may take to be there.
const BOUND: Duration = Duration::from_secs(30);

/// A broker that ends with its test; its state stays over [`Broker::restart`].
pub(crate) struct Broker {
    child: Option<Child>,
    folder: TempDir,
    pub(crate) port: u16,
    /// Who may publish.
    login: Option<(String, String)>,
    tls: bool,
}

impl Broker {
    /// One that takes everybody; `None` where there is no mosquitto, which is said.
    pub(crate) fn open() -> Option<Self> {
        Self::start(None, "allow_anonymous true")
    }

    /// One that takes this user alone.
    pub(crate) fn of(user: &str, password: &str) -> Option<Self> {
        Self::start(Some((user, password)), "allow_anonymous false")
    }

    /// One that takes everybody over TLS, with this certificate and key; nothing is published to it.
    pub(crate) fn secure(certificate: &Path, key: &Path) -> Option<Self> {
        let (certificate, key) = (certificate.display(), key.display());
        let more = format!("allow_anonymous true\ncertfile {certificate}\nkeyfile {key}");
        Self::start(None, &more)
    }

    fn start(login: Option<(&str, &str)>, more: &str) -> Option<Self> {
        if !is_there() {
            return None;
        }
        let folder = TempDir::new().unwrap();
        let port = {
            // It is free again when the broker takes it.
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let here = folder.path().display();
        let mut config = format!(
            "listener {port} 127.0.0.1\n{more}\npersistence true\npersistence_location {here}/\nuser root\n"
        );
        if let Some((user, password)) = login {
            let file = folder.path().join("passwords");
            fs::write(&file, "").unwrap();
            let made = Command::new("mosquitto_passwd")
                .arg("-b")
                .args([file.to_str().unwrap(), user, password])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            assert!(made.unwrap().success(), "mosquitto_passwd failed");
            config.push_str(&format!("password_file {}\n", file.display()));
        }
        fs::write(folder.path().join("mosquitto.conf"), config).unwrap();
        let mut broker = Self {
            child: None,
            folder,
            port,
            login: login.map(|(user, password)| (user.to_owned(), password.to_owned())),
            tls: more.contains("certfile"),
        };
        broker.begin();
        Some(broker)
    }

    fn begin(&mut self) {
        let config = self.folder.path().join("mosquitto.conf");
        let child = Command::new("mosquitto")
            .arg("-c")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.expect("mosquitto starts"));
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begun.elapsed() < BOUND, "mosquitto does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Stops, keeps what it has, and comes again.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.begin();
    }

    /// Asks it to stop, so that it writes down what it has.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = child.id().to_string();
            let _ = Command::new("kill").arg(&pid).status();
            let _ = child.wait();
        }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Publishes, and waits until the broker has it.
    pub(crate) fn publish(&self, topic: &str, payload: &[u8]) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        let mut connect = Connect::new("publisher");
        if let Some((user, password)) = &self.login {
            connect.set_login(user, password);
        }
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload);
        publish.pkid = 1;
        let mut out = Default::default();
        Packet::Connect(connect).write(&mut out, 16 << 20).unwrap();
        Packet::Publish(publish).write(&mut out, 16 << 20).unwrap();
        stream.write_all(&out).unwrap();
        // What it answers to both is eight bytes.
        let mut answers = [0; 8];
        stream.read_exact(&mut answers).unwrap();
        assert_eq!((answers[3], answers[4] >> 4), (0, 4), "{answers:?}");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Whether there is a broker; it must be there where backends are required.
fn is_there() -> bool {
    let found = Command::new("mosquitto")
        .arg("-h")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if found.is_ok() {
        return true;
    }
    let required = std::env::var("NEBULA_REQUIRE_BACKENDS").is_ok_and(|value| value == "1");
    assert!(!required, "there is no `mosquitto` on this computer");
    eprintln!("SKIPPED: there is no MQTT broker on this computer (no `mosquitto` in PATH)");
    false
}
