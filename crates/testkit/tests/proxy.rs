//! The proxy between tests and servers does what it says, and nothing else.

#![cfg(unix)]
#![expect(
    clippy::disallowed_methods,
    reason = "it stands between processes, which have the time of their host"
)]

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    os::unix::net::UnixListener,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use nebula_testkit::servers::{Proxy, Silence, Struck};

/// How long anything may take.
const BOUND: Duration = Duration::from_secs(20);

/// How long is waited for what must not come.
const QUIET: Duration = Duration::from_millis(250);

/// A server that answers each piece with the same in capitals, and remembers what came.
struct Server {
    socket: PathBuf,
    heard: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicU64>,
}

impl Server {
    fn new(name: &str) -> Self {
        let socket = std::env::temp_dir().join(format!("nb-proxy-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        let (heard, ended) = (
            Arc::<Mutex<Vec<String>>>::default(),
            Arc::<AtomicU64>::default(),
        );
        let (hears, ends) = (Arc::clone(&heard), Arc::clone(&ended));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, hears, ends) = (stream.unwrap(), hears.clone(), ends.clone());
                thread::spawn(move || {
                    let mut piece = [0; 1024];
                    while let Ok(length @ 1..) = stream.read(&mut piece) {
                        let said = String::from_utf8_lossy(&piece[..length]).into_owned();
                        hears.lock().unwrap().push(said.clone());
                        if stream.write_all(said.to_uppercase().as_bytes()).is_err() {
                            break;
                        }
                    }
                    ends.fetch_add(1, SeqCst);
                });
            }
        });
        Self {
            socket,
            heard,
            ended,
        }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    fn ended(&self) -> u64 {
        self.ended.load(SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn connected(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream
}

#[track_caller]
fn say(stream: &mut TcpStream, what: &str) {
    stream.write_all(what.as_bytes()).unwrap();
}

/// The next piece, or why there is none.
fn hear(stream: &mut TcpStream) -> io::Result<String> {
    let mut piece = [0; 1024];
    let length = stream.read(&mut piece)?;
    Ok(String::from_utf8_lossy(&piece[..length]).into_owned())
}

#[track_caller]
fn asks(stream: &mut TcpStream, what: &str) {
    say(stream, what);
    assert_eq!(hear(stream).unwrap(), what.to_uppercase());
}

#[track_caller]
fn is_silent(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(QUIET)).unwrap();
    let heard = hear(stream).unwrap_err().kind();
    assert!(
        matches!(heard, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        "{heard}"
    );
    stream.set_read_timeout(Some(BOUND)).unwrap();
}

#[track_caller]
fn is_reset(stream: &mut TcpStream) {
    assert_eq!(
        hear(stream).unwrap_err().kind(),
        io::ErrorKind::ConnectionReset
    );
}

#[track_caller]
fn becomes_so(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < BOUND, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_comes_is_passed_on_and_ends_with_either_side() {
    let server = Server::new("passes");
    let proxy = Proxy::before(&server.socket).unwrap();
    let (mut one, mut other) = (connected(&proxy), connected(&proxy));
    asks(&mut one, "one");
    asks(&mut other, "other");
    asks(&mut one, "again");
    assert_eq!(server.heard(), ["one", "other", "again"]);
    assert_eq!(proxy.open(), 2);
    drop(one);
    becomes_so("the server is told of the end", || server.ended() == 1);
    becomes_so("one is left", || proxy.open() == 1);
    asks(&mut other, "still here");
    assert_eq!(proxy.struck(), Struck::default());
    drop(proxy);
    assert_eq!(hear(&mut other).unwrap_or_default(), "");
}

#[test]
fn more_than_fits_into_any_buffer_passes_in_both_directions_at_once() {
    const MUCH: usize = 8 << 20;
    let server = Server::new("much");
    let proxy = Proxy::before(&server.socket).unwrap();
    let mut stream = connected(&proxy);
    let mut says = stream.try_clone().unwrap();
    let sends = thread::spawn(move || says.write_all(&vec![b'a'; MUCH]).unwrap());
    let mut all = vec![0; MUCH];
    stream.read_exact(&mut all).unwrap();
    sends.join().unwrap();
    assert!(all.iter().all(|it| *it == b'A'));
}

#[test]
fn who_is_cut_off_is_told_so_and_others_can_come() {
    let server = Server::new("cut");
    let proxy = Proxy::before(&server.socket).unwrap();
    let (mut one, mut other) = (connected(&proxy), connected(&proxy));
    asks(&mut one, "a");
    asks(&mut other, "b");
    proxy.cut();
    is_reset(&mut one);
    is_reset(&mut other);
    becomes_so("the server is told", || server.ended() == 2);
    asks(&mut connected(&proxy), "c");
    assert_eq!(proxy.struck().reset, 2);
}

#[test]
fn whose_server_is_not_there_is_reset() {
    let proxy = Proxy::before(&std::env::temp_dir().join("nb-proxy-nobody")).unwrap();
    let mut stream = connected(&proxy);
    let heard = hear(&mut stream);
    assert!(
        heard
            .as_ref()
            .is_err_and(|it| it.kind() == io::ErrorKind::ConnectionReset),
        "{heard:?}"
    );
}

#[test]
fn what_is_held_up_comes_later() {
    let server = Server::new("slow");
    let proxy = Proxy::before(&server.socket).unwrap();
    let mut stream = connected(&proxy);
    asks(&mut stream, "quick");
    let delay = Duration::from_millis(120);
    proxy.delay(delay);
    let begun = Instant::now();
    asks(&mut stream, "slow");
    assert!(begun.elapsed() >= delay * 2, "{:?}", begun.elapsed());
    assert_eq!(proxy.struck().delayed, 2);
    proxy.delay(Duration::ZERO);
    asks(&mut stream, "quick");
    assert_eq!(proxy.struck().delayed, 2);
}

fn check_silence(silence: Silence, arrives: bool) {
    let server = Server::new(&format!("{silence:?}"));
    let proxy = Proxy::before(&server.socket).unwrap();
    let mut before = connected(&proxy);
    asks(&mut before, "a");
    proxy.fall_silent(silence);
    say(&mut before, "b");
    is_silent(&mut before);
    // Those that come now are silent as well, and stay so.
    let mut new = connected(&proxy);
    say(&mut new, "c");
    is_silent(&mut new);
    proxy.speak();
    let mut later = connected(&proxy);
    asks(&mut later, "d");
    say(&mut before, "e");
    say(&mut new, "f");
    is_silent(&mut before);
    is_silent(&mut new);
    assert_eq!(proxy.struck().silenced, 2);
    let mut heard = server.heard();
    heard.sort();
    let expected: &[_] = match arrives {
        true => &["a", "b", "c", "d", "e", "f"],
        false => &["a", "d"],
    };
    assert_eq!(heard, expected);
    // The server does not hear that the client has gone.
    drop(before);
    thread::sleep(QUIET);
    assert_eq!(server.ended(), 0);
    // Whoever cuts ends them, too.
    proxy.cut();
    is_reset(&mut new);
    is_reset(&mut later);
}

#[test]
fn silent_connections_stay_open_and_pass_nothing() {
    check_silence(Silence::Asking, false);
    check_silence(Silence::Answering, true);
    check_silence(Silence::Both, false);
}

#[test]
fn an_answer_is_swallowed_once_it_was_given() {
    let server = Server::new("swallow");
    let proxy = Proxy::before(&server.socket).unwrap();
    let (mut one, mut other) = (connected(&proxy), connected(&proxy));
    proxy.swallow(1, b"DONE");
    asks(&mut one, "not yet");
    say(&mut one, "it is done");
    is_reset(&mut one);
    assert_eq!(server.heard(), ["not yet", "it is done"]);
    // One was to be swallowed.
    asks(&mut other, "this is done");
    assert_eq!(proxy.struck().swallowed, 1);
    proxy.swallow(3, b"DONE");
    proxy.swallow(0, b"");
    asks(&mut other, "done again");
    assert_eq!(proxy.struck().swallowed, 1);
}
