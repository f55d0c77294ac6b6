//! Consent with a provider of tokens that is not ours: npm's `oidc-provider`, in a process of its own.
//!
//! Without `node`, or where npm cannot fetch it, the test says so and passes; with
//! `NEBULA_REQUIRE_BACKENDS=1` it fails.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::OnceLock,
};

use serde_json::json;

use crate::{serve::Serving, support::User};

const PROVIDER: &str = "oidc-provider@9.13.3";

/// Under which address the browser is told to come back.
pub(crate) const PUBLIC: &str = "http://127.0.0.1:7400";

/// The folder with the provider's code; fetched once for each target folder, by one test for all.
fn fetched() -> Result<PathBuf, String> {
    static FETCHED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FETCHED.get_or_init(fetch).clone()
}

fn fetch() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(PROVIDER);
    let done = folder.join("done");
    if done.is_file() {
        return Ok(folder);
    }
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts"]);
    npm.arg("--prefix").arg(&folder).arg(PROVIDER);
    let said = npm.output().map_err(|error| format!("npm: {error}"))?;
    if !said.status.success() {
        return Err(String::from_utf8_lossy(&said.stderr).into_owned());
    }
    fs::write(done, PROVIDER).map_err(|error| error.to_string())?;
    Ok(folder)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the runner says here whether the provider may be missing"
)]
#[expect(
    clippy::print_stderr,
    reason = "whoever reads the output is to know what was not tested"
)]
fn missing(why: &str) {
    let required = std::env::var("NEBULA_REQUIRE_BACKENDS").is_ok_and(|value| value == "1");
    assert!(!required, "{PROVIDER} is not there: {why}");
    eprintln!("SKIPPED: {PROVIDER} is not there: {why}");
}

/// A provider with one client, and a browser in which everybody consents.
pub(crate) struct Provider {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub(crate) issuer: String,
}

impl Provider {
    /// `None` where it is not there, and may be missing.
    pub(crate) fn start(redirect_uri: &str) -> Option<Self> {
        let folder = match fetched() {
            Ok(folder) => folder,
            Err(why) => {
                missing(&why);
                return None;
            }
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/provider.mjs");
        let mut process = Command::new("node")
            .arg(script)
            .arg(folder)
            .arg(redirect_uri)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut provider = Self {
            process,
            input,
            output,
            issuer: String::new(),
        };
        provider.issuer = provider.line();
        assert!(
            provider.issuer.starts_with("http"),
            "{PROVIDER} does not start"
        );
        Some(provider)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Where the browser of somebody is sent in the end.
    pub(crate) fn consents(&mut self, who: &str, url: &str) -> String {
        writeln!(self.input, "{who} {url}").unwrap();
        self.line()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Guards: the challenge belongs to the verifier, the address to come back to is the same in both requests,
/// a state counts once, and the tokens are those of the credential from then on.
#[test]
fn a_provider_gives_tokens_for_a_consent() {
    let back = format!("{PUBLIC}/api/v1/credentials/mail/callback");
    let Some(mut provider) = Provider::start(&back) else {
        return;
    };
    let user = User::new();
    let config = user.home().join("config");
    fs::create_dir_all(&config).unwrap();
    let settings = format!("[serve.limits]\npublic_url = \"{PUBLIC}\"\n");
    fs::write(config.join("nebula.toml"), settings).unwrap();
    let serving = Serving::start(&user);
    let issuer = provider.issuer.clone();
    let fields = json!({
        "authorize_url": format!("{issuer}/auth?prompt=consent"),
        "token_url": format!("{issuer}/token"),
        "client_id": "nebula",
        "client_secret": "a secret of the client",
        "scope": "openid offline_access",
    });
    let new = json!({ "type": "oauth2_code", "fields": fields, "hosts": ["127.0.0.1"] });
    let json = "content-type: application/json\r\n";
    let mail = "/api/v1/credentials/mail";
    let (status, put) = serving.ask("PUT", mail, json, &new.to_string());
    assert_eq!(status, 200, "{put}");

    // Before anybody has consented, it opens nothing.
    let asked = json!({ "url": format!("{issuer}/me") }).to_string();
    let test = format!("{mail}/test");
    let (status, refused) = serving.ask("POST", &test, json, &asked);
    assert_eq!(
        (status, &refused["code"]),
        (422, &json!("CREDENTIAL_REFUSED")),
        "{refused}"
    );

    let (status, begun) = serving.ask("POST", &format!("{mail}/authorize"), json, "");
    assert_eq!(
        (status, &begun["redirect_uri"]),
        (200, &json!(back)),
        "{begun}"
    );
    let came = provider.consents("ada", begun["url"].as_str().unwrap());
    let query = came
        .strip_prefix(&format!("{back}?"))
        .unwrap_or_else(|| panic!("{came}"));
    let callback = format!("{mail}/callback?{query}");
    let (status, stored) = serving.ask("GET", &callback, "", "");
    assert_eq!((status, &stored["version"]), (200, &json!(2)), "{stored}");
    let (status, again) = serving.ask("GET", &callback, "", "");
    assert_eq!(
        (status, &again["code"]),
        (409, &json!("UNKNOWN_STATE")),
        "{again}"
    );

    // A test fetches a new token with the one to refresh with, and the provider knows it.
    let (status, tried) = serving.ask("POST", &test, json, &asked);
    assert_eq!(
        (status, &tried["verdict"]),
        (200, &json!("accepted")),
        "{tried}"
    );
    assert_eq!(tried["version"], json!(3), "{tried}");
    let (_, audit) = serving.ask("GET", "/api/v1/audit?limit=100", "", "");
    let audit = audit.to_string();
    for what in ["credentials.ask_consent", "credentials.consent"] {
        assert!(audit.contains(what), "{audit}");
    }
    assert!(!audit.contains("a secret of the client"), "{audit}");
}
