//! A server that commands ask, and the token with which it lets the user in.

use std::{
    borrow::Cow,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use nebula_action::{
    Capability, Egress, Grants, HostPattern, HttpClient, HttpLimits, HttpRequest, RequestBody,
    Sender, retry_after,
};
use nebula_core::{ByteSize, ExposeSecret as _, SecretString};
use nebula_workflow::{Format, LocatedDiagnostic};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::{
    failure::Failure,
    private::{make_private, open_private},
    replace::replace,
    shell::quoted,
};

/// The variable that names a server where `--server` does not.
pub(crate) const SERVER_VARIABLE: &str = "NEBULA_SERVER";
/// The variable with a token, which comes before one that was saved.
pub(crate) const TOKEN_VARIABLE: &str = "NEBULA_TOKEN";
/// The folder of saved tokens, in the user's config folder.
const LOGINS: &str = "logins";
/// The longest file with a saved token that is read, in bytes.
const MAX_LOGIN: u64 = 16 * 1024;
/// The most of an answer that is no answer of a server of this kind that is shown, in characters.
const MAX_SHOWN: usize = 120;
/// The largest answer.
const MAX_ANSWER: ByteSize = ByteSize::mib(256);

/// The address of a server: `https`, or `http` to this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerUrl(Url);

impl ServerUrl {
    /// Reads what a user wrote.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = |why: String| {
            let shown: String = text.chars().take(MAX_SHOWN).collect();
            Failure::invalid("USAGE", format!("`{shown}` is no server: {why}")).advice(
                "write its address, such as https://nebula.example or http://127.0.0.1:7400",
            )
        };
        let url = Egress::url(text).map_err(|error| wrong(error.to_string()))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("it has a query or a fragment".to_owned()));
        }
        let here = match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err(wrong("it has no host".to_owned())),
        };
        if url.scheme() == "http" && !here {
            return Err(Failure::invalid(
                "SERVER_PLAIN",
                format!("{url} is not encrypted: the token, and all that is sent, could be read on the way"),
            )
            .advice("use https://, or a tunnel to the machine such as `ssh -L`"));
        }
        Ok(Self(url))
    }

    /// As it is written in a command, without a slash at the end.
    pub(crate) fn text(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// The name of the file with its token: one for each scheme, host, port and path.
    fn file_name(&self) -> String {
        let plain = |c: char| match c {
            'a'..='z' | '0'..='9' | '.' | '-' => c,
            _ => '_',
        };
        let name: String = self.text().chars().map(plain).take(100).collect();
        let digest = nebula_core::Digest::of(self.text().as_bytes()).to_string();
        format!("{name}-{}.json", &digest[digest.len() - 8..])
    }
}

/// A question for a server.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    method: Method,
    /// Where the path begins.
    root: &'static [&'static str],
    path: Vec<Cow<'a, str>>,
    query: Vec<(&'static str, String)>,
    headers: HeaderMap,
    body: RequestBody,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(method: Method) -> Self {
        Self {
            method,
            root: &["api", "v1"],
            path: Vec::new(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: RequestBody::Empty,
        }
    }

    /// What lies beside `/api/v1`: links.
    pub(crate) fn beside(mut self) -> Self {
        self.root = &[];
        self
    }

    pub(crate) fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// More of the path below `/api/v1`.
    pub(crate) fn at<S: Into<Cow<'a, str>>>(mut self, more: impl IntoIterator<Item = S>) -> Self {
        self.path.extend(more.into_iter().map(Into::into));
        self
    }

    /// A parameter of the query.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn body(mut self, kind: &'static str, body: Vec<u8>) -> Self {
        self.headers
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        self.body = RequestBody::Bytes(body.into());
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string().into_bytes())
    }
}

/// Why a server did not do what it was asked (RFC 9457), as far as it says so.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
    detail: String,
    hint: Option<String>,
    diagnostics: Vec<LocatedDiagnostic>,
    problems: Vec<Misfit>,
    expression: Option<Mistake>,
}

/// What is wrong with an expression that a server evaluated.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Mistake {
    pub(crate) message: String,
    pub(crate) phase: String,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Debug, Deserialize)]
struct Misfit {
    pointer: String,
    message: String,
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    server: String,
    status: StatusCode,
    after: Option<Duration>,
    body: Vec<u8>,
    /// Where it says that it did not do it.
    problem: Option<Problem>,
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The code of what went wrong.
    pub(crate) fn code(&self) -> Option<&str> {
        self.problem.as_ref().map(|it| it.code.as_str())
    }

    /// What is wrong with the expression, where that is why, with its code and what to do.
    pub(crate) fn mistake(&self) -> Option<(&str, &Mistake, Option<&str>)> {
        let problem = self.problem.as_ref()?;
        let mistake = problem.expression.as_ref()?;
        Some((&problem.code, mistake, problem.hint.as_deref()))
    }

    /// One document of each line.
    pub(crate) fn lines<T: DeserializeOwned>(&self) -> impl Iterator<Item = Result<T, Failure>> {
        let lines = self.body.split(|byte| *byte == b'\n');
        lines
            .filter(|line| !line.is_empty())
            .map(|line| self.read(line))
    }

    /// As it came.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// Whether the thing that was asked about is not there; another 404 is of a path that this server
    /// does not have.
    pub(crate) fn is_unknown(&self) -> bool {
        self.code().is_some_and(|code| code.starts_with("UNKNOWN_"))
    }

    /// The answer, if it is one to what was asked.
    pub(crate) fn good(self) -> Result<Self, Failure> {
        match self.status.is_success() {
            true => Ok(self),
            false => Err(self.failure()),
        }
    }

    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        self.read(&self.body)
    }

    fn read<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, Failure> {
        serde_json::from_slice(bytes).map_err(|error| {
            let message = format!(
                "{} answered what this program does not understand: {error}",
                self.server
            );
            Failure::environment("SERVER_ANSWER", message)
                .advice("check that program and server have the same version")
        })
    }

    fn failure(self) -> Failure {
        let (server, status) = (&self.server, self.status);
        let Some(problem) = self.problem else {
            let text = String::from_utf8_lossy(&self.body);
            let shown: String = text.trim().chars().take(MAX_SHOWN).collect();
            let shown = shown.replace(char::is_control, " ");
            let message = format!("{server} answered {status}: {shown}");
            return Failure::environment("SERVER_ANSWER", message)
                .advice("check that a Nebula server listens there, and not something before it");
        };
        let message = match problem.problems.as_slice() {
            [] => problem.detail,
            misfits => {
                let all = misfits.iter().map(|it| match it.pointer.as_str() {
                    "" => it.message.clone(),
                    pointer => format!("{pointer}: {}", it.message),
                });
                format!(
                    "{} ({})",
                    problem.detail,
                    all.collect::<Vec<_>>().join("; ")
                )
            }
        };
        let message = format!("{server}: {message}");
        let mut failure = match status {
            StatusCode::UNAUTHORIZED => {
                let usual = || format!("log in: nebula login {}", quoted(server));
                // Without a token there is one thing to do; what was wrong with another one it says.
                let advice = match problem.code == "UNAUTHENTICATED" {
                    true => usual(),
                    false => problem.hint.unwrap_or_else(usual),
                };
                return Failure::environment(problem.code, message).advice(advice);
            }
            StatusCode::FORBIDDEN => {
                let failure = Failure::environment(problem.code, message);
                let usual = "ask somebody who may, or log in as somebody else: nebula login";
                return failure.advice(problem.hint.as_deref().unwrap_or(usual));
            }
            StatusCode::TOO_MANY_REQUESTS => Failure::environment(problem.code, message),
            _ if status.is_server_error() => Failure::environment(problem.code, message),
            _ => Failure::invalid(problem.code, message),
        };
        if let Some(hint) = problem.hint {
            failure = failure.advice(hint);
        }
        if let Some(after) = self.after {
            failure = failure.try_after(after);
        }
        let drawn = drawn(&problem.diagnostics);
        failure.diagnostics(problem.diagnostics, drawn)
    }
}

/// Problems of a definition that a server found, a line or two each.
pub(crate) fn drawn(problems: &[LocatedDiagnostic]) -> String {
    let lines = problems.iter().map(|it| {
        let mut line = format!(
            "{}:{}:{}: [{}] {}",
            it.file, it.line, it.column, it.code, it.message
        );
        if let Some(hint) = &it.hint {
            line.push_str(&format!("\n  {hint}"));
        }
        line
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The media type of a definition.
pub(crate) fn kind_of(format: Format) -> &'static str {
    match format {
        Format::Json => "application/json",
        Format::Yaml => "application/yaml",
    }
}

/// A server, as one user asks it.
#[derive(Debug)]
pub(crate) struct Server {
    client: Arc<dyn HttpClient>,
    egress: Egress,
    url: ServerUrl,
    token: Option<SecretString>,
}

impl Server {
    pub(crate) fn new(
        client: Arc<dyn HttpClient>,
        url: ServerUrl,
        token: Option<SecretString>,
    ) -> Self {
        // The user has named it, so wherever its name leads is where they want to go.
        let mut granted: Vec<_> = Egress::needed(&url.0).into_iter().collect();
        let port = url.0.port_or_known_default();
        for range in ["0.0.0.0/0", "[::/0]"] {
            let host: HostPattern = range.parse().expect("these are ranges");
            granted.push(Capability::Net { host, port });
        }
        Self {
            client,
            egress: Egress::new(&Grants::new(granted)),
            url,
            token,
        }
    }

    pub(crate) fn url(&self) -> &ServerUrl {
        &self.url
    }

    /// The same, as whoever holds this token.
    pub(crate) fn with_token(self, token: SecretString) -> Self {
        Self {
            token: Some(token),
            ..self
        }
    }

    /// The same, as nobody.
    pub(crate) fn without_token(self) -> Self {
        Self {
            token: None,
            ..self
        }
    }

    /// What is there; `None` where it is not, or may not be seen.
    pub(crate) async fn find<T: DeserializeOwned>(
        &self,
        ask: Ask<'_>,
    ) -> Result<Option<T>, Failure> {
        let answer = self.send(ask).await?;
        match answer.status() {
            StatusCode::NOT_FOUND if answer.is_unknown() => Ok(None),
            _ => answer.good()?.json().map(Some),
        }
    }

    /// What the answer says.
    pub(crate) async fn get<T: DeserializeOwned>(&self, ask: Ask<'_>) -> Result<T, Failure> {
        self.send(ask).await?.good()?.json()
    }

    /// Asks, and gives the answer, whatever its status.
    ///
    /// # Cancel safety
    /// Dropping the future breaks the connection off; whether the server has acted is unknown then.
    pub(crate) async fn send(&self, ask: Ask<'_>) -> Result<Answer, Failure> {
        let mut url = self.url.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(ask.root).extend(&ask.path);
        }
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&ask.query);
        }
        let mut headers = ask.headers;
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let agent = concat!("nebula/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        if let Some(token) = &self.token {
            let text = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
            let mut value = HeaderValue::from_str(&text).map_err(|_| {
                Failure::environment("TOKEN_FILE", "the token has characters that no token has")
                    .advice(format!(
                        "log in again: nebula login {}",
                        quoted(self.url.text())
                    ))
            })?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let request = HttpRequest {
            method: ask.method,
            url,
            headers,
            body: ask.body,
            limits: HttpLimits {
                max_body: MAX_ANSWER,
                // A token goes where the user sent it, and nowhere else.
                redirects: None,
                ..HttpLimits::default()
            },
            sender: Sender::default(),
        };
        let unreachable = |error: nebula_action::HttpError| {
            let mut message = format!("cannot reach the server: {error}");
            if error.sent {
                message.push_str("; whether it has acted is unknown");
            }
            Failure::environment("SERVER_UNREACHABLE", message)
                .advice("check that it runs (`nebula serve`), its address, and the network between")
        };
        let response = self.client.send(&self.egress, request).await;
        let response = response.map_err(unreachable)?;
        let (status, after) = (response.status, retry_after(&response.headers));
        let kind = response.headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|it| it.to_str().ok()).unwrap_or_default();
        let is_problem = kind.starts_with("application/problem+json");
        let body = response.bytes().await.map_err(unreachable)?;
        Ok(Answer {
            server: self.url.text().to_owned(),
            status,
            after,
            problem: is_problem
                .then(|| serde_json::from_slice(&body).ok())
                .flatten(),
            body,
        })
    }
}

/// A saved token.
#[derive(Serialize, Deserialize)]
struct Login {
    server: String,
    token: String,
}

fn file_of(config: &Path, url: &ServerUrl) -> PathBuf {
    config.join(LOGINS).join(url.file_name())
}

/// The token for a server: of the variable, else the one that was saved.
pub(crate) fn token(config: &Path, url: &ServerUrl) -> Result<Option<SecretString>, Failure> {
    if let Some(token) = nebula_system::variable(TOKEN_VARIABLE) {
        let token = token.into_string().map_err(|_| {
            Failure::invalid("USAGE", format!("the variable {TOKEN_VARIABLE} is no text"))
        })?;
        return Ok(Some(token.trim().into()));
    }
    let path = file_of(config, url);
    let unreadable = |error| Failure::file(&path, "read", &error);
    if !path.try_exists().map_err(unreadable)? {
        return Ok(None);
    }
    let mut bytes = Zeroizing::new(Vec::new());
    // Whoever else could read it is kept out from now on.
    let file = open_private(&path).map_err(unreadable)?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, MAX_LOGIN), &mut bytes)
        .map_err(unreadable)?;
    let login: Option<Login> = serde_json::from_slice(&bytes).ok();
    match login.filter(|it| it.server == url.text()) {
        Some(login) => Ok(Some(login.token.into())),
        None => Err(Failure::environment(
            "TOKEN_FILE",
            format!("{} holds no login for {}", path.display(), url.text()),
        )
        .advice(format!("log in again: nebula login {}", quoted(url.text())))),
    }
}

/// Saves a token for the user alone.
pub(crate) fn save(
    config: &Path,
    url: &ServerUrl,
    token: &SecretString,
) -> Result<PathBuf, Failure> {
    let path = file_of(config, url);
    let folder = config.join(LOGINS);
    make_private(&folder).map_err(|error| Failure::file(&folder, "make", &error))?;
    let login = Login {
        server: url.text().to_owned(),
        token: token.expose_secret().to_owned(),
    };
    let bytes = Zeroizing::new(serde_json::to_vec(&login).unwrap_or_default());
    replace(&path, &bytes, None).map_err(|error| Failure::file(&path, "write", &error))?;
    Ok(path)
}

/// Forgets the token for a server; whether there was one.
pub(crate) fn forget(config: &Path, url: &ServerUrl) -> Result<bool, Failure> {
    let path = file_of(config, url);
    match fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Failure::file(&path, "delete", &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_encrypted_or_on_this_machine() {
        let check = |text: &str, expected: Result<&str, &str>| {
            let url = ServerUrl::parse(text);
            let url = url.as_ref().map(ServerUrl::text);
            assert_eq!(
                url.map_err(|failure| failure.code.as_ref()),
                expected,
                "{text}"
            );
        };
        check("https://nebula.example/", Ok("https://nebula.example"));
        check(
            "https://nebula.example/below",
            Ok("https://nebula.example/below"),
        );
        check("http://127.0.0.1:7400", Ok("http://127.0.0.1:7400"));
        check("http://[::1]:7400", Ok("http://[::1]:7400"));
        check("http://localhost:7400", Ok("http://localhost:7400"));
        check("http://nebula.example", Err("SERVER_PLAIN"));
        check("http://10.0.0.1", Err("SERVER_PLAIN"));
        check("https://ada:secret@nebula.example", Err("USAGE"));
        check("https://nebula.example?token=x", Err("USAGE"));
        check("nebula.example", Err("USAGE"));
        check("https://nebula.example#x", Err("USAGE"));
        check(
            "http://nebula.localhost:7400",
            Ok("http://nebula.localhost:7400"),
        );
        check("http://notlocalhost", Err("SERVER_PLAIN"));
    }

    #[test]
    fn each_server_has_a_file_of_its_own_whose_name_is_short() {
        let name = |text: &str| ServerUrl::parse(text).unwrap().file_name();
        // Characters that stand in no file name look alike, and are not.
        assert_ne!(
            name("https://nebula.example/A"),
            name("https://nebula.example/_")
        );
        let long = format!("https://nebula.example/{}", "a".repeat(1_000));
        assert!(name(&long).len() < 150, "{}", name(&long).len());
    }

    #[test]
    #[cfg(unix)]
    fn a_saved_token_is_kept_from_others_and_no_other_file_is_taken_for_one() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let url = ServerUrl::parse("https://nebula.example").unwrap();
        let path = save(folder.path(), &url, &"nbk_secret".into()).unwrap();
        // Whoever copied it from elsewhere may have let everybody read it.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(token(folder.path(), &url).unwrap().is_some());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let login = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{}{login}", " ".repeat(MAX_LOGIN as usize))).unwrap();
        assert_eq!(token(folder.path(), &url).unwrap_err().code, "TOKEN_FILE");
    }

    #[test]
    fn a_token_is_for_its_server_and_for_the_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let one = ServerUrl::parse("https://nebula.example").unwrap();
        let other = ServerUrl::parse("https://nebula.example:8443").unwrap();
        let path = save(folder.path(), &one, &"nbk_secret".into()).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;

            let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        }
        let found = token(folder.path(), &one).unwrap().unwrap();
        assert_eq!(found.expose_secret(), "nbk_secret");
        assert!(token(folder.path(), &other).unwrap().is_none());
        fs::copy(&path, file_of(folder.path(), &other)).unwrap();
        assert_eq!(token(folder.path(), &other).unwrap_err().code, "TOKEN_FILE");
        assert!(forget(folder.path(), &one).unwrap());
        assert!(!forget(folder.path(), &one).unwrap());
    }
}
