//! The reserve of a core: connections beyond the budget. They are there to ask how the server is, and the oldest gives way.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use crate::connection::{Connection, End};

#[derive(Debug)]
pub(crate) struct Reserve {
    max: usize,
    /// Those that were not told to go, the oldest first.
    staying: RefCell<VecDeque<Rc<Connection>>>,
    /// All that have a descriptor still.
    open: Cell<usize>,
}

impl Reserve {
    pub(crate) fn new(max: usize) -> Reserve {
        assert!(max > 0, "whoever comes last is let in");
        Reserve { max, staying: RefCell::default(), open: Cell::new(0) }
    }

    /// As many as may stay were told to go and are not gone: nobody is let in until they are.
    pub(crate) fn is_crowded(&self) -> bool {
        self.open.get() >= 2 * self.max
    }

    pub(crate) fn enter(&self, connection: Rc<Connection>) {
        self.open.set(self.open.get() + 1);
        let mut staying = self.staying.borrow_mut();
        staying.push_back(connection);
        if staying.len() > self.max
            && let Some(oldest) = staying.pop_front()
        {
            oldest.finish(End::Now);
        }
    }

    /// A connection has ended, one of the reserve or another.
    pub(crate) fn leave(&self, connection: &Rc<Connection>) {
        if connection.is_reserved() {
            self.open.set(self.open.get() - 1);
            self.staying.borrow_mut().retain(|other| !Rc::ptr_eq(other, connection));
        }
    }
}
