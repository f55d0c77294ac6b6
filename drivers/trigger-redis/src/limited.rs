//! A stream that gives no more than so much for one question.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use nebula_dial::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes may still be read.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    left: Arc<AtomicUsize>,
    each: usize,
}

impl Allowance {
    pub(crate) fn of(each: usize) -> Self {
        let left = Arc::new(AtomicUsize::new(each));
        Self { left, each }
    }

    /// The next question may be answered with as much again.
    pub(crate) fn renew(&self) {
        self.left.store(self.each, Relaxed);
    }

    /// Whether more came than was allowed.
    pub(crate) fn is_used_up(&self) -> bool {
        self.left.load(Relaxed) == 0
    }
}

/// Fails once more is read than is allowed.
#[derive(Debug)]
pub(crate) struct Limited {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) allowance: Allowance,
}

impl AsyncRead for Limited {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().len() - before;
        let left = &self.allowance.left;
        // One task reads, and whoever asks renews while nothing is read.
        let rest = left.load(Relaxed).saturating_sub(read);
        left.store(rest, Relaxed);
        Poll::Ready(match rest {
            0 => Err(io::Error::other("an answer is larger than is taken")),
            _ => Ok(()),
        })
    }
}

impl AsyncWrite for Limited {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
