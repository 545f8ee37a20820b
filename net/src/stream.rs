//! Bodies that are made while they leave. Whoever makes one hands over piece by piece, and goes on once the connection has room for
//! the next one: a slow reader is waited for, and nothing piles up.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// The body ends before its end: the connection is closed without the last chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer is cut short")
    }
}

impl std::error::Error for Cut {}

/// The place of one piece between the maker of a body and its connection.
#[derive(Clone, Default)]
pub(crate) struct Outlet {
    piece: Rc<RefCell<Option<Vec<u8>>>>,
}

impl Outlet {
    /// Hands over a piece that is not empty. Ends once the connection asks for the next.
    pub(crate) async fn give(&self, piece: Vec<u8>) {
        let before = self.piece.replace(Some(piece));
        assert!(before.is_none(), "a piece is taken before the next is given");
        // No waker: the body is polled again for its next piece, and its maker with it.
        std::future::poll_fn(|_| match *self.piece.borrow() {
            Some(_) => Poll::Pending,
            None => Poll::Ready(()),
        })
        .await;
    }
}

/// A body under construction.
pub(crate) struct Streamed {
    maker: Pin<Box<dyn Future<Output = Result<(), Cut>>>>,
    outlet: Outlet,
}

impl Streamed {
    /// The pieces that `make` gives to its outlet. It runs only while the connection has room for a piece.
    pub(crate) fn new<F: Future<Output = Result<(), Cut>> + 'static>(
        make: impl FnOnce(Outlet) -> F,
    ) -> Streamed {
        let outlet = Outlet::default();
        Streamed { maker: Box::pin(make(outlet.clone())), outlet }
    }

    /// The next piece; `None` once all were handed over. Not called again after that, nor after an error.
    pub(crate) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Vec<u8>, Cut>>> {
        let made = self.maker.as_mut().poll(cx);
        if let Some(piece) = self.outlet.piece.take() {
            assert!(made.is_pending(), "the maker waits until its piece is taken");
            return Poll::Ready(Some(Ok(piece)));
        }
        made.map(|made| made.err().map(Err))
    }
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streamed")
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn next(body: &mut Streamed) -> Poll<Option<Result<Vec<u8>, Cut>>> {
        body.poll_piece(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn pieces_come_one_by_one_and_are_made_no_earlier() {
        let made = Rc::new(RefCell::new(0));
        let counted = made.clone();
        let mut body = Streamed::new(async move |outlet: Outlet| {
            for piece in 1..=3u8 {
                *counted.borrow_mut() += 1;
                outlet.give(vec![piece]).await;
            }
            Ok(())
        });
        for piece in 1..=3u8 {
            assert_eq!(next(&mut body), Poll::Ready(Some(Ok(vec![piece]))));
            assert_eq!(*made.borrow(), piece, "the next one is not begun");
        }
        assert_eq!(next(&mut body), Poll::Ready(None));
    }

    #[test]
    fn what_breaks_off_says_so_behind_its_last_piece() {
        let mut body = Streamed::new(async |outlet: Outlet| {
            outlet.give(vec![1]).await;
            Err(Cut)
        });
        assert_eq!(next(&mut body), Poll::Ready(Some(Ok(vec![1]))));
        assert_eq!(next(&mut body), Poll::Ready(Some(Err(Cut))));
    }
}
