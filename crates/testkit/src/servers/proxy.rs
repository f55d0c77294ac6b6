//! A way to a server on which things go wrong: connections are reset, are slow, fall silent, or lose an answer.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream, tcp, unix},
    sync::watch,
    task::JoinSet,
};

/// How much is passed on at once.
const CHUNK: usize = 16 << 10;

/// How long the server is kept in the belief that a client is there which has gone away behind a silent
/// connection.
const UNHEARD: Duration = Duration::from_secs(8);

/// In which direction nothing passes any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// What the client sends does not arrive.
    Asking,
    /// What the server answers does not arrive.
    Answering,
    /// Neither does.
    Both,
}

/// Listens on a port of this machine, and passes on what comes to the socket of a server. Dropping it ends every
/// connection.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    control: Arc<Control>,
    over: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// What all connections are told.
#[derive(Debug)]
struct Control {
    told: watch::Sender<Told>,
    /// The next answers with one of these words in them are swallowed.
    swallow: Mutex<Swallow>,
    /// How many connections there are.
    open: AtomicU64,
    reset: AtomicU64,
    silenced: AtomicU64,
    swallowed: AtomicU64,
    delayed: AtomicU64,
}

/// Which connections are struck, and how. Each has the number of the generation in which it came about; the
/// first is 1.
#[derive(Debug, Clone, Copy)]
struct Told {
    /// The generation of those that come now.
    now: u64,
    /// Those of this generation and earlier ones are reset.
    cut: u64,
    /// Those of this one and earlier ones are silent.
    silent: (u64, Silence),
    /// Whether those that come now are silent, too.
    stays: bool,
    /// How long each piece is held up.
    delay: Duration,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            now: 1,
            cut: 0,
            silent: (0, Silence::Both),
            stays: false,
            delay: Duration::ZERO,
        }
    }
}

#[derive(Debug, Default)]
struct Swallow {
    left: u64,
    word: Vec<u8>,
}

/// What the proxy has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Struck {
    /// Connections that were reset.
    pub reset: u64,
    /// Connections that fell silent.
    pub silenced: u64,
    /// Answers that the server gave and nobody heard.
    pub swallowed: u64,
    /// Pieces that were held up.
    pub delayed: u64,
}

impl Proxy {
    /// Begins to listen, for the server at `socket`.
    ///
    /// # Errors
    /// There is no port or no thread.
    pub fn before(socket: &Path) -> io::Result<Self> {
        let control = Arc::new(Control {
            told: watch::Sender::default(),
            swallow: Mutex::default(),
            open: AtomicU64::default(),
            reset: AtomicU64::default(),
            silenced: AtomicU64::default(),
            swallowed: AtomicU64::default(),
            delayed: AtomicU64::default(),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (over, ends) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (socket, here) = (socket.to_owned(), Arc::clone(&control));
        let passes = move || {
            runtime.block_on(async {
                let Ok(listener) = TcpListener::from_std(listener) else {
                    return;
                };
                accept(listener, socket, here, ends).await;
            });
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "what stands between processes is on no runtime of theirs; it ends with the value"
        )]
        let thread = std::thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(passes)?;
        Ok(Self {
            address,
            control,
            over,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections there are.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.control.open.load(SeqCst)
    }

    /// What has happened so far.
    #[must_use]
    pub fn struck(&self) -> Struck {
        let control = &self.control;
        Struck {
            reset: control.reset.load(SeqCst),
            silenced: control.silenced.load(SeqCst),
            swallowed: control.swallowed.load(SeqCst),
            delayed: control.delayed.load(SeqCst),
        }
    }

    /// Resets every connection that there is; new ones are as before.
    pub fn cut(&self) {
        self.tell(|told| told.cut = told.now);
    }

    /// Holds up each piece, in both directions, from now on; zero: no longer.
    pub fn delay(&self, each: Duration) {
        self.tell(|told| told.delay = each);
    }

    /// From now on nothing passes over the connections that there are, for as long as they live, nor over those
    /// that come before [`Proxy::speak`]. Nobody is told: they stay open, and what is sent is taken.
    pub fn fall_silent(&self, silence: Silence) {
        self.tell(|told| {
            told.silent = (told.now, silence);
            told.stays = true;
        });
    }

    /// New connections are as they should be; those that were silent stay so.
    pub fn speak(&self) {
        self.tell(|told| {
            if told.stays {
                told.silent.0 = told.now;
                told.stays = false;
            }
        });
    }

    /// Of the next `times` answers in which `word` stands nobody hears, and their connections are reset. What
    /// was asked was done.
    pub fn swallow(&self, times: u64, word: &[u8]) {
        *self.control.swallow() = Swallow {
            left: times,
            word: word.to_owned(),
        };
    }

    fn tell(&self, change: impl FnOnce(&mut Told)) {
        self.control.told.send_modify(|told| {
            change(told);
            // Who comes from here on belongs to the next generation.
            told.now += 1;
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.over.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Control {
    fn swallow(&self) -> MutexGuard<'_, Swallow> {
        self.swallow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this answer is one that nobody hears.
    fn swallows(&self, answer: &[u8]) -> bool {
        let mut swallow = self.swallow();
        if swallow.left == 0 || memchr::memmem::find(answer, &swallow.word).is_none() {
            return false;
        }
        swallow.left -= 1;
        self.swallowed.fetch_add(1, SeqCst);
        true
    }
}

impl Told {
    fn silence(&self, generation: u64) -> Option<Silence> {
        let (until, silence) = self.silent;
        (generation <= until || self.stays).then_some(silence)
    }
}

async fn accept(
    listener: TcpListener,
    socket: PathBuf,
    control: Arc<Control>,
    mut ends: watch::Receiver<bool>,
) {
    let mut passing = JoinSet::new();
    loop {
        tokio::select! {
            _ = ends.changed() => return,
            came = listener.accept() => {
                let Ok((client, _)) = came else { continue };
                passing.spawn(pass(client, socket.clone(), Arc::clone(&control)));
            }
            Some(_) = passing.join_next() => {}
        }
    }
}

/// Why a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// One side has closed it.
    Closed,
    /// It is reset.
    Reset,
    /// The client of a silent one has gone, of which the server hears nothing.
    Unheard,
}

/// What one connection is told.
#[derive(Clone)]
struct Ear {
    control: Arc<Control>,
    told: watch::Receiver<Told>,
    generation: u64,
}

impl Ear {
    fn silence(&self) -> Option<Silence> {
        self.told.borrow().silence(self.generation)
    }

    /// Waits for what concerns this connection.
    async fn hears(&mut self, what: impl Fn(&Told, u64) -> bool) {
        let generation = self.generation;
        let asked = self.told.wait_for(|told| what(told, generation));
        // Whoever tells has gone: nothing concerns it any more.
        if asked.await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn hold_up(&self) {
        let delay = self.told.borrow().delay;
        if !delay.is_zero() {
            self.control.delayed.fetch_add(1, SeqCst);
            pause(delay).await;
        }
    }
}

/// Carries one connection.
async fn pass(client: TcpStream, socket: PathBuf, control: Arc<Control>) {
    let told = control.told.subscribe();
    let generation = told.borrow().now;
    let ear = Ear {
        control,
        told,
        generation,
    };
    let _ = client.set_nodelay(true);
    // Whose server is not there is told so by a reset.
    let Ok(server) = UnixStream::connect(socket).await else {
        let _ = client.set_zero_linger();
        return;
    };
    ear.control.open.fetch_add(1, SeqCst);
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut cut, mut silenced) = (ear.clone(), ear.clone());
    let counted = async {
        silenced.hears(|told, it| told.silence(it).is_some()).await;
        silenced.control.silenced.fetch_add(1, SeqCst);
        std::future::pending::<()>().await;
    };
    let over = tokio::select! {
        over = ask(&ear, &mut from_client, &mut to_server) => over,
        over = answer(&ear, &mut from_server, &mut to_client) => over,
        () = cut.hears(|told, it| told.cut >= it) => {
            ear.control.reset.fetch_add(1, SeqCst);
            Over::Reset
        }
        () = counted => Over::Closed,
    };
    ear.control.open.fetch_sub(1, SeqCst);
    if over == Over::Reset
        && let Ok(client) = from_client.reunite(to_client)
    {
        let _ = client.set_zero_linger();
    }
    if over == Over::Unheard {
        let mut rest = vec![0; CHUNK];
        let ends = async { while from_server.read(&mut rest).await.is_ok_and(|it| it > 0) {} };
        tokio::select! {
            () = ends => {}
            () = pause(UNHEARD) => {}
        }
    }
}

/// Passes on what the client asks.
async fn ask(ear: &Ear, from: &mut tcp::OwnedReadHalf, to: &mut unix::OwnedWriteHalf) -> Over {
    let mut piece = vec![0; CHUNK];
    loop {
        let length = from.read(&mut piece).await.unwrap_or(0);
        if length == 0 {
            return match ear.silence() {
                None => Over::Closed,
                Some(_) => Over::Unheard,
            };
        }
        ear.hold_up().await;
        if matches!(ear.silence(), Some(Silence::Asking | Silence::Both)) {
            continue;
        }
        if to.write_all(&piece[..length]).await.is_err() && ear.silence().is_none() {
            return Over::Closed;
        }
    }
}

/// Passes on what the server answers.
async fn answer(ear: &Ear, from: &mut unix::OwnedReadHalf, to: &mut tcp::OwnedWriteHalf) -> Over {
    let mut piece = vec![0; CHUNK];
    loop {
        let length = from.read(&mut piece).await.unwrap_or(0);
        if length > 0 {
            ear.hold_up().await;
        }
        let silence = ear.silence();
        if length == 0 {
            match silence {
                None => return Over::Closed,
                // Its end is not heard either.
                Some(_) => std::future::pending().await,
            }
        }
        if matches!(silence, Some(Silence::Answering | Silence::Both)) {
            continue;
        }
        if ear.control.swallows(&piece[..length]) {
            return Over::Reset;
        }
        if to.write_all(&piece[..length]).await.is_err() && silence.is_none() {
            return Over::Closed;
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what stands between processes has the time of their host"
)]
async fn pause(span: Duration) {
    tokio::time::sleep(span).await;
}
