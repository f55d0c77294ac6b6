//! Forms of URLs that lead to where `net:*` does not, and the guard that each is stopped by.

use nebula_action::Egress;
use nebula_ports::HttpRequest;

use super::{
    fixture::*,
    names::Names,
    server::{Server, ok},
};

/// What stops a form; a test of the driver says what happens without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// `Egress::url`: what readers of URLs disagree about is none.
    Plain,
    /// The URL standard's reading of hosts: every spelling of an address is that address.
    Spelling,
    /// `AddressClass` of an address in a URL.
    Class,
    /// `AddressClass` of an IPv6 address that holds an IPv4 one.
    Embedded,
    /// `localhost` and names below it are this machine.
    ThisMachine,
    /// `Egress::admits` of what a name resolves to.
    Resolved,
    /// Ports of other protocols.
    Port,
}

use Guard::{Class, Embedded, Plain, Port, Resolved, Spelling, ThisMachine};

/// `{p}` is the port of the sentinels on 127.0.0.1 and ::1. Names resolve to what [`LEADS`] says.
const FORMS: &[(Guard, &str)] = &[
    // The plain ones.
    (Class, "http://127.0.0.1:{p}/"),
    (Class, "http://127.0.0.2:{p}/"),
    (Class, "http://127.255.255.254:{p}/"),
    (Class, "https://127.0.0.1:{p}/"),
    (Class, "http://[::1]:{p}/"),
    (Class, "http://0.0.0.0:{p}/"),
    (Class, "http://0.0.0.1:{p}/"),
    (Class, "http://[::]:{p}/"),
    // Decimal.
    (Spelling, "http://2130706433:{p}/"),
    (Spelling, "http://2130706434:{p}/"),
    (Spelling, "http://0:{p}/"),
    (Spelling, "http://127.1:{p}/"),
    (Spelling, "http://127.0.1:{p}/"),
    (Spelling, "http://127.65535:{p}/"),
    (Spelling, "http://127.16777215:{p}/"),
    (Spelling, "http://127.0.65535:{p}/"),
    (Spelling, "http://0.0:{p}/"),
    (Spelling, "http://0.0.0:{p}/"),
    (Spelling, "http://0.1:{p}/"),
    // Octal.
    (Spelling, "http://0177.0.0.1:{p}/"),
    (Spelling, "http://0177.0.0.01:{p}/"),
    (Spelling, "http://00177.0.0.1:{p}/"),
    (Spelling, "http://0000000177.0.0.1:{p}/"),
    (Spelling, "http://0177.1:{p}/"),
    (Spelling, "http://0177.0.01:{p}/"),
    (Spelling, "http://0177.00.00.01:{p}/"),
    (Spelling, "http://017700000001:{p}/"),
    (Spelling, "http://0017700000001:{p}/"),
    (Spelling, "http://00:{p}/"),
    (Spelling, "http://00.00.00.00:{p}/"),
    (Plain, "http://0o177.0.0.1:{p}/"),
    // Hexadecimal.
    (Spelling, "http://0x7f.0.0.1:{p}/"),
    (Spelling, "http://0X7F.0.0.1:{p}/"),
    (Spelling, "http://0x7f.0x0.0x0.0x1:{p}/"),
    (Spelling, "http://0x7f.1:{p}/"),
    (Spelling, "http://0x7f000001:{p}/"),
    (Spelling, "http://0x7F000001:{p}/"),
    (Spelling, "http://0x000000007f000001:{p}/"),
    (Spelling, "http://0x7f.0.1:{p}/"),
    (Spelling, "http://0x7f.0x1:{p}/"),
    (Spelling, "http://0x:{p}/"),
    (Spelling, "http://0x0:{p}/"),
    (Spelling, "http://0x.0x.0x.0x:{p}/"),
    (Spelling, "http://127.0.0.0x1:{p}/"),
    // Mixed.
    (Spelling, "http://0x7f.0.0.01:{p}/"),
    (Spelling, "http://0177.0x0.0.1:{p}/"),
    (Spelling, "http://127.0x000001:{p}/"),
    (Spelling, "http://127.01:{p}/"),
    (Spelling, "http://0x7f.01:{p}/"),
    // A number that is no address; some of it is a name then.
    (Plain, "http://256.256.256.256:{p}/"),
    (Plain, "http://127.0.0.1.1:{p}/"),
    (Plain, "http://127.0.0.256:{p}/"),
    (Plain, "http://4294967296:{p}/"),
    (Plain, "http://6425673729:{p}/"),
    (Plain, "http://0x17f000001:{p}/"),
    (Resolved, "http://127.0.0.1e0:{p}/"),
    (Resolved, "http://-1:{p}/"),
    (Resolved, "http://127.0.0.-255:{p}/"),
    // Dots.
    (Spelling, "http://127.0.0.1.:{p}/"),
    (Spelling, "http://127.1.:{p}/"),
    (Spelling, "http://2130706433.:{p}/"),
    (Plain, "http://127.0.0.1..:{p}/"),
    (Plain, "http://.127.0.0.1:{p}/"),
    (Plain, "http://127..0.1:{p}/"),
    // Digits and dots of other scripts.
    (Spelling, "http://１２７.０.０.１:{p}/"),
    (Spelling, "http://127。0。0。1:{p}/"),
    (Spelling, "http://127．0．0．1:{p}/"),
    (Spelling, "http://127｡0｡0｡1:{p}/"),
    (Spelling, "http://①②⑦.⓪.⓪.①:{p}/"),
    (Spelling, "http://𝟏𝟐𝟕.𝟎.𝟎.𝟏:{p}/"),
    (Spelling, "http://𝟘x7f.1:{p}/"),
    (Spelling, "http://²¹³⁰⁷⁰⁶⁴³³:{p}/"),
    (Spelling, "http://₁₂₇.₀.₀.₁:{p}/"),
    (Spelling, "http://０ｘ７ｆ.1:{p}/"),
    (Spelling, "http://127\u{ad}.0.0.1:{p}/"),
    (Spelling, "http://127.0\u{200b}.0.1:{p}/"),
    (Plain, "http://١٢٧.٠.٠.١:{p}/"),
    // Percent-encoding.
    (Spelling, "http://%31%32%37.0.0.1:{p}/"),
    (Spelling, "http://127%2e0%2E0%2e1:{p}/"),
    (Spelling, "http://%6c%6f%63%61%6c%68%6f%73%74:{p}/"),
    (Spelling, "http://%EF%BC%91%EF%BC%92%EF%BC%97.0.0.1:{p}/"),
    (Plain, "http://127.0.0.1%00:{p}/"),
    (Plain, "http://127.0.0.1%0a:{p}/"),
    (Plain, "http://127.0.0.1%20:{p}/"),
    (Plain, "http://127.0.0.1%2f:{p}/"),
    (Plain, "http://127.0.0.1%23@public.test:{p}/"),
    (Plain, "http://%2531%32%37.0.0.1:{p}/"),
    // IPv6.
    (Spelling, "http://[0:0:0:0:0:0:0:1]:{p}/"),
    (
        Spelling,
        "http://[0000:0000:0000:0000:0000:0000:0000:0001]:{p}/",
    ),
    (Spelling, "http://[::0:1]:{p}/"),
    (Spelling, "http://[0::1]:{p}/"),
    (Spelling, "http://[0:0::0001]:{p}/"),
    (Spelling, "http://[::0.0.0.1]:{p}/"),
    (Plain, "http://[::1%25lo]:{p}/"),
    (Plain, "http://[::1%lo]:{p}/"),
    (Plain, "http://[fe80::1%25eth0]:{p}/"),
    (Plain, "http://[::1:{p}/"),
    (Plain, "http://::1:{p}/"),
    (Plain, "http://[[::1]]:{p}/"),
    (Plain, "http://[127.0.0.1]:{p}/"),
    (Plain, "http://[::1].:{p}/"),
    (Plain, "http://[v1.127]:{p}/"),
    // An IPv4 address inside.
    (Embedded, "http://[::ffff:127.0.0.1]:{p}/"),
    (Embedded, "http://[::ffff:7f00:1]:{p}/"),
    (Embedded, "http://[0:0:0:0:0:ffff:127.0.0.1]:{p}/"),
    (Embedded, "http://[::FFFF:127.0.0.1]:{p}/"),
    (Embedded, "http://[::ffff:0.0.0.0]:{p}/"),
    (Embedded, "http://[::ffff:10.0.0.1]:{p}/"),
    (Embedded, "http://[::ffff:169.254.169.254]:{p}/"),
    (Embedded, "http://[::ffff:8.8.8.8]:{p}/"),
    (Embedded, "http://[::127.0.0.1]:{p}/"),
    (Embedded, "http://[::7f00:1]:{p}/"),
    (Embedded, "http://[::ffff:0:127.0.0.1]:{p}/"),
    (Embedded, "http://[64:ff9b::127.0.0.1]:{p}/"),
    (Embedded, "http://[64:ff9b::7f00:1]:{p}/"),
    (Embedded, "http://[64:ff9b::a9fe:a9fe]:{p}/"),
    (Embedded, "http://[64:ff9b:1::7f00:1]:{p}/"),
    (Embedded, "http://[64:ff9b:1:7f00:0:100::]:{p}/"),
    (Embedded, "http://[2002:7f00:1::]:{p}/"),
    (Embedded, "http://[2002:7f00:1::1]:{p}/"),
    (Embedded, "http://[2002:a9fe:a9fe::]:{p}/"),
    (Embedded, "http://[2002:c0a8:101::1]:{p}/"),
    (Embedded, "http://[2001:0:7f00:1::]:{p}/"),
    (
        Embedded,
        "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]:{p}/",
    ),
    (Embedded, "http://[2606:4700::5efe:7f00:1]:{p}/"),
    (Embedded, "http://[2606:4700::200:5efe:10.0.0.1]:{p}/"),
    // Private and special networks.
    (Class, "http://10.0.0.1:{p}/"),
    (Class, "http://172.16.0.1:{p}/"),
    (Class, "http://172.31.255.255:{p}/"),
    (Class, "http://192.168.1.1:{p}/"),
    (Class, "http://100.64.0.1:{p}/"),
    (Class, "http://100.127.255.254:{p}/"),
    (Class, "http://169.254.1.1:{p}/"),
    (Class, "http://224.0.0.251:{p}/"),
    (Class, "http://255.255.255.255:{p}/"),
    (Class, "http://240.0.0.1:{p}/"),
    (Class, "http://192.0.2.1:{p}/"),
    (Class, "http://198.18.0.1:{p}/"),
    (Class, "http://192.0.0.8:{p}/"),
    (Class, "http://192.88.99.1:{p}/"),
    (Class, "http://[fc00::1]:{p}/"),
    (Class, "http://[fd12:3456::1]:{p}/"),
    (Class, "http://[fe80::1]:{p}/"),
    (Class, "http://[fec0::1]:{p}/"),
    (Class, "http://[ff02::1]:{p}/"),
    (Class, "http://[2001:db8::1]:{p}/"),
    (Class, "http://[100::1]:{p}/"),
    (Class, "http://[5f00::1]:{p}/"),
    (Spelling, "http://167772161:{p}/"),
    (Spelling, "http://0300.0250.1.1:{p}/"),
    (Spelling, "http://0xc0a80101:{p}/"),
    // Where clouds give credentials away.
    (Class, "http://169.254.169.254/latest/meta-data/"),
    (Class, "http://169.254.170.2/v2/credentials"),
    (Class, "http://100.100.100.200/latest/meta-data/"),
    (Class, "http://168.63.129.16/machine"),
    (Class, "http://[fd00:ec2::254]/latest/meta-data/"),
    (Spelling, "http://2852039166/"),
    (Spelling, "http://0xa9fea9fe/"),
    (Spelling, "http://0251.0376.0251.0376/"),
    (Spelling, "http://169.254.43518/"),
    (Spelling, "http://169.16689662/"),
    // Names of this machine.
    (ThisMachine, "http://localhost:{p}/"),
    (ThisMachine, "http://LOCALHOST:{p}/"),
    (ThisMachine, "http://localhost.:{p}/"),
    (ThisMachine, "http://a.b.localhost:{p}/"),
    (ThisMachine, "http://ｌｏｃａｌｈｏｓｔ:{p}/"),
    (ThisMachine, "http://loc\u{ad}alhost:{p}/"),
    (ThisMachine, "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{p}/"),
    // Names that lead inside.
    (Resolved, "http://loopback.test:{p}/"),
    (Resolved, "http://loopback6.test:{p}/"),
    (Resolved, "http://LOOPBACK.TEST:{p}/"),
    (Resolved, "http://loopback.test.:{p}/"),
    (Resolved, "http://any.test:{p}/"),
    (Resolved, "http://any6.test:{p}/"),
    (Resolved, "http://mapped.test:{p}/"),
    (Resolved, "http://compatible.test:{p}/"),
    (Resolved, "http://nat64.test:{p}/"),
    (Resolved, "http://sixtofour.test:{p}/"),
    (Resolved, "http://private.test:{p}/"),
    (Resolved, "http://unique.test:{p}/"),
    (Resolved, "http://link.test:{p}/"),
    (Resolved, "http://metadata.test/"),
    (Resolved, "http://both.test:{p}/"),
    (Resolved, "http://127.0.0.1.nip.test:{p}/"),
    // User names and passwords.
    (Plain, "http://public.test@127.0.0.1:{p}/"),
    (Plain, "http://public.test:80@127.0.0.1:{p}/"),
    (Plain, "http://user:word@localhost:{p}/"),
    (Plain, "http://127.0.0.1:{p}@public.test/"),
    (Plain, "http://public.test%40@127.0.0.1:{p}/"),
    (Plain, "http://a@b@127.0.0.1:{p}/"),
    (Class, "http://@127.0.0.1:{p}/"),
    (Plain, "http://public.test\\@127.0.0.1:{p}/"),
    (Plain, "http://127.0.0.1:{p}\\@public.test/"),
    // Other readings of the same text.
    (Class, "http:127.0.0.1:{p}/"),
    (Class, "http:/127.0.0.1:{p}/"),
    (Class, "http:///127.0.0.1:{p}/"),
    (Class, "http://///127.0.0.1:{p}/"),
    (Class, "HTTP://127.0.0.1:{p}/"),
    (Class, "http://127.0.0.1:0{p}/"),
    (Class, "http://127.0.0.1:{p}?@public.test/"),
    (Class, "http://127.0.0.1:{p}#@public.test/"),
    (Plain, "http://127.0.0.1:{p};public.test/"),
    (Plain, "http:\\\\127.0.0.1:{p}/"),
    (Plain, "http://127.0.0.1\t:{p}/"),
    (Plain, "http://127.0.0.1\r\n:{p}/"),
    (Plain, "ht\ntp://127.0.0.1:{p}/"),
    (Plain, " http://127.0.0.1:{p}/"),
    (Plain, "\u{0}http://127.0.0.1:{p}/"),
    (Plain, "http://127.0.0.1 :{p}/"),
    (Plain, "http://127.0.0.1:{p} public.test/"),
    (Plain, "http://127.0.0.1:{p}:80/"),
    (Plain, "http://127.0.0.1:+{p}/"),
    (Plain, "//127.0.0.1:{p}/"),
    (Plain, "127.0.0.1:{p}/"),
    (Plain, "localhost:{p}/"),
    (Plain, "http://:{p}/"),
    (Plain, "http://"),
    // Other protocols.
    (Plain, "ftp://127.0.0.1:{p}/"),
    (Plain, "gopher://127.0.0.1:{p}/_GET"),
    (Plain, "file:///etc/passwd"),
    (Plain, "file://127.0.0.1/etc/passwd"),
    (Plain, "dict://127.0.0.1:{p}/"),
    (Plain, "ldap://127.0.0.1:{p}/"),
    (Plain, "ws://127.0.0.1:{p}/"),
    (Plain, "unix:/var/run/docker.sock"),
    (Plain, "jar:http://127.0.0.1:{p}!/"),
    (Plain, "data:text/plain,hello"),
    (Plain, "blob:http://127.0.0.1:{p}/"),
    (Plain, "view-source:http://127.0.0.1:{p}/"),
    (Port, "http://public.test:22/"),
    (Port, "http://public.test:25/"),
    (Port, "http://public.test:6000/"),
    (Port, "http://1.1.1.1:25/"),
];

/// What the names resolve to.
const LEADS: &[(&str, &str)] = &[
    ("public.test", "127.0.0.1"),
    ("loopback.test", "127.0.0.1"),
    ("loopback.test.", "127.0.0.1"),
    ("loopback6.test", "::1"),
    ("any.test", "0.0.0.0"),
    ("any6.test", "::"),
    ("mapped.test", "::ffff:127.0.0.1"),
    ("compatible.test", "::127.0.0.1"),
    ("nat64.test", "64:ff9b::7f00:1"),
    ("sixtofour.test", "2002:7f00:1::1"),
    ("private.test", "192.168.0.1"),
    ("unique.test", "fd00::1"),
    ("link.test", "fe80::1"),
    ("metadata.test", "169.254.169.254"),
    ("both.test", "93.184.215.14 127.0.0.1"),
    ("127.0.0.1.nip.test", "127.0.0.1"),
    ("127.0.0.1e0", "127.0.0.1"),
    ("-1", "127.0.0.1"),
    ("127.0.0.-255", "127.0.0.1"),
    ("localhost", "93.184.215.14"),
];

/// At least so many forms, each another text.
const AT_LEAST: usize = 150;

/// No spelling of a place inside is anything but that place. Guards: each case names its own.
pub async fn no_form_of_a_url_leads_inside(client: &Client, names: &Names) {
    let (first, second) = sentinels().await;
    for (name, to) in LEADS {
        names.set(name, &[to]);
    }
    let port = first.port().to_string();
    let (mut texts, mut wrong) = (Vec::new(), Vec::new());
    for (guard, form) in FORMS {
        let text = form.replace("{p}", &port);
        let stopped = match Egress::url(&text) {
            Err(_) => "plain".to_owned(),
            Ok(url) => {
                let asked = HttpRequest {
                    url,
                    ..get("http://public.test/")
                };
                kind(&failed(client, "net:*", asked).await)
            }
        };
        let expected = if *guard == Plain { "plain" } else { "denied" };
        if stopped != expected {
            wrong.push(format!("{guard:?} {text:?}: {stopped}"));
        }
        texts.push(text);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let seen = first.connections() + second.map_or(0, |second| second.connections());
    assert_eq!(seen, 0, "a sentinel saw a connection");
    texts.sort();
    texts.dedup();
    assert!(
        texts.len() >= AT_LEAST && texts.len() == FORMS.len(),
        "{} forms",
        texts.len()
    );
    // The sentinel is there, and a grant that names it leads to it.
    let url = first.url("/");
    assert_eq!(
        fetched(client, &first.grant(), &url).await,
        "the sentinel answered"
    );
}

/// Sentinels on the same port of 127.0.0.1 and, where there is IPv6, of ::1.
async fn sentinels() -> (Server, Option<Server>) {
    let ipv6 = Server::sentinel("[::1]:0").await.is_ok();
    loop {
        let first = Server::start(|_| ok(b"the sentinel answered")).await;
        if !ipv6 {
            return (first, None);
        }
        if let Ok(second) = Server::sentinel(&format!("[::1]:{}", first.port())).await {
            return (first, Some(second));
        }
    }
}
