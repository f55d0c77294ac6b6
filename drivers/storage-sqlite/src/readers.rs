//! Threads that read, each on its own connection, so that no async thread waits for a disk.
//!
//! They are the driver's own rather than the `Offload` port's: a connection with its prepared
//! statements stays with one thread, and a slow disk takes no thread from the engine's pure work.

use std::{path::Path, sync::Arc};

use rusqlite::Connection;

use crate::{
    SqliteConfig,
    config::READ_QUEUE,
    error::Fault,
    opening,
    sync::{JoinHandle, Mutex, mpsc, thread},
};

/// A question, with the one who waits for its answer.
pub(crate) type Question = Box<dyn FnOnce(&Connection) + Send>;

/// The pool.
#[derive(Debug)]
pub(crate) struct Readers {
    questions: Option<mpsc::Sender<Question>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Opens every connection and starts its thread.
    pub(crate) fn start(path: &Path, config: &SqliteConfig) -> Result<Self, Fault> {
        let (questions, waiting) = mpsc::channel::<Question>(READ_QUEUE);
        let waiting = Arc::new(Mutex::new(waiting));
        let mut readers = Self {
            questions: Some(questions),
            threads: Vec::new(),
        };
        for n in 0..config.readers {
            let (connection, waiting) = (opening::reader(path, config)?, Arc::clone(&waiting));
            let work = move || answer(&connection, &waiting);
            readers
                .threads
                .push(start(format!("sqlite-read-{n}"), work)?);
        }
        Ok(readers)
    }

    pub(crate) fn questions(&self) -> Option<&mpsc::Sender<Question>> {
        self.questions.as_ref()
    }

    /// Answers what was asked, then closes every connection.
    pub(crate) fn stop(&mut self) {
        self.questions = None;
        self.threads.drain(..).for_each(join);
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.stop();
    }
}

fn answer(connection: &Connection, waiting: &Mutex<mpsc::Receiver<Question>>) {
    loop {
        // Held while waiting: the others wait for the lock instead of the channel.
        let question = waiting.lock().blocking_recv();
        match question {
            Some(question) => question(connection),
            None => return,
        }
    }
}

/// Starts one of the driver's threads.
pub(crate) fn start(
    name: String,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, Fault> {
    #[cfg_attr(
        not(test),
        expect(
            clippy::disallowed_methods,
            reason = "SQLite blocks: a connection needs a thread of its own"
        )
    )]
    let started = thread::Builder::new().name(name).spawn(work);
    started.map_err(|error| Fault::io(&error, "a thread for the database"))
}

/// Waits for a thread; one that panicked has said so on stderr.
pub(crate) fn join(thread: JoinHandle<()>) {
    let _ = thread.join();
}
