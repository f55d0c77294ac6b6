//! Other ways to say the same, which open nothing more.

/// Headers with which proxies and frameworks are talked into something else.
pub(super) const HEADERS: [&[(&str, &str)]; 3] = [
    &[("x-http-method-override", "GET"), ("x-http-method", "GET")],
    &[
        ("x-original-url", "/health/live"),
        ("x-rewrite-url", "/health/live"),
    ],
    &[
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-user", "local"),
        ("x-real-ip", "::1"),
    ],
];

/// Other spellings of a path: none of them may open what the path does not.
pub(super) fn spellings(path: &str) -> Vec<String> {
    let (path, query) = path
        .split_once('?')
        .map_or((path, ""), |(path, query)| (path, query));
    let query = if query.is_empty() {
        String::new()
    } else {
        format!("?{query}")
    };
    let (first, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    let spelled = [
        format!("{path}/"),
        format!("/{path}"),
        path.replacen('/', "//", 3),
        format!("/%2e{path}"),
        format!("/x/%2e%2e{path}"),
        format!("/./{}", &path[1..]),
        format!("/health/live/..{path}"),
        format!("{path}%2f"),
        format!("{path};x=1"),
        format!("/{first};x/{rest}"),
        format!("{path}/x"),
        format!("{path}%00"),
        format!("/{}/{rest}", first.to_uppercase()),
    ];
    let mut all: Vec<_> = spelled.into_iter().map(|it| it + &query).collect();
    let and = if query.is_empty() { '?' } else { '&' };
    all.push(format!("{path}{query}{and}x=1&x=2"));
    all.push(format!(
        "{path}{query}{and}ticket=x&access_token=x&tenant=local"
    ));
    all
}
