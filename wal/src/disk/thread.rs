//! Threads beside a core thread: the helper that runs jobs, and the task thread that it shares with the plain driver.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use super::jobs::JobRunner;
use super::wake::WakeFd;
use super::{Event, Job, JobError};
use crate::core_dir::CoreDir;
use crate::error::DiskError;
use crate::files::OsFiles;
use crate::names;

/// A thread that returns a result for each task, in order, and signals after each.
#[derive(Debug)]
pub(crate) struct TaskThread<T, R> {
    /// `None` only while it is being dropped.
    tasks: Option<Sender<T>>,
    replies: Receiver<R>,
    waiting: usize,
    thread: Option<JoinHandle<()>>,
}

/// The state of the oldest task.
pub(crate) enum TaskPoll<R> {
    Ready(R),
    Pending,
    /// The thread panicked in a task.
    Dead,
}

impl<T: Send + 'static, R: Send + 'static> TaskThread<T, R> {
    pub(crate) fn spawn(
        name: String,
        wake: WakeFd,
        mut work: impl FnMut(T) -> R + Send + 'static,
    ) -> io::Result<TaskThread<T, R>> {
        let (tasks, inbox) = channel::<T>();
        let (outbox, replies) = channel();
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            leave_the_core();
            // Signals even when the work panics, so that the death is noticed.
            let _signal = SignalOnDrop(wake.clone());
            for task in inbox {
                if outbox.send(work(task)).is_err() {
                    break;
                }
                wake.signal();
            }
        })?;
        Ok(TaskThread { tasks: Some(tasks), replies, waiting: 0, thread: Some(thread) })
    }

    pub(crate) fn start(&mut self, task: T) {
        self.waiting += 1;
        // If the thread is gone, `take` notices: a result is still missing.
        let _ = self.tasks.as_ref().expect("not being dropped").send(task);
    }

    pub(crate) fn take(&mut self) -> TaskPoll<R> {
        match self.replies.try_recv() {
            Ok(reply) => {
                self.waiting -= 1;
                TaskPoll::Ready(reply)
            }
            Err(TryRecvError::Disconnected) if self.waiting > 0 => {
                self.waiting = 0;
                TaskPoll::Dead
            }
            Err(_) => TaskPoll::Pending,
        }
    }
}

impl<T, R> Drop for TaskThread<T, R> {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct SignalOnDrop(WakeFd);

impl Drop for SignalOnDrop {
    fn drop(&mut self) {
        self.0.signal();
    }
}

/// A core thread is pinned, and a thread that it starts would share its core: this one may run everywhere.
fn leave_the_core() {
    let mut all = rustix::thread::CpuSet::new();
    for cpu in 0..rustix::thread::CpuSet::MAX_CPU {
        all.set(cpu);
    }
    // The kernel takes the part that is allowed. Where even that is refused, it stays on the core: slower, not wrong.
    let _ = rustix::thread::sched_setaffinity(None, &all);
}

/// The error of a thread that died.
pub(crate) fn dead(what: &'static str) -> DiskError {
    DiskError::new("run", what, io::Error::other("the thread has died"))
}

type JobOutcome = (Result<(), JobError>, Option<(u64, OwnedFd)>);

/// Runs jobs on a real file system and opens the segments that they prepare.
#[derive(Debug)]
pub(crate) struct Helper(TaskThread<Job, JobOutcome>);

impl Helper {
    pub(crate) fn spawn(core: CoreDir<OsFiles>, direct: bool, wake: WakeFd) -> io::Result<Helper> {
        let mut runner = JobRunner::new(core.clone());
        let work = move |job: Job| {
            let opens = job.opens();
            let result = runner.run(job);
            match (result, opens) {
                (Ok(()), Some(generation)) => {
                    let name = names::segment(generation);
                    match core.files.open_durable(&core.path(&name), direct) {
                        Ok(file) => (Ok(()), Some((generation, file))),
                        Err(error) => (Err(JobError::Fatal(DiskError::new("open", name, error))), None),
                    }
                }
                (result, _) => (result, None),
            }
        };
        TaskThread::spawn("wal-helper".to_owned(), wake, work).map(Helper)
    }

    pub(crate) fn start(&mut self, job: Job) {
        self.0.start(job);
    }

    /// Takes a completion; a segment that was opened goes to `segments`.
    pub(crate) fn take(&mut self, segments: &mut OpenSegments) -> Option<Event> {
        match self.0.take() {
            TaskPoll::Ready((result, opened)) => {
                segments.0.extend(opened);
                Some(Event::Done(result))
            }
            TaskPoll::Dead => Some(Event::Done(Err(JobError::Fatal(dead("wal-helper"))))),
            TaskPoll::Pending => None,
        }
    }
}

/// The segments that are open for log writes.
#[derive(Debug, Default)]
pub(crate) struct OpenSegments(Vec<(u64, OwnedFd)>);

impl OpenSegments {
    /// The one to write now. Earlier ones are closed: the log does not go back.
    pub(crate) fn writing(&mut self, generation: u64) -> Option<BorrowedFd<'_>> {
        self.0.retain(|(other, _)| *other >= generation);
        self.0.iter().find(|(other, _)| *other == generation).map(|(_, file)| file.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;

    fn wait(wake: &WakeFd) {
        poll(&mut [PollFd::new(&wake.fd(), PollFlags::IN)], None).expect("it becomes readable");
        rustix::io::read(wake.fd(), &mut [0; 8]).expect("it is readable");
    }

    #[test]
    fn a_thread_that_dies_over_a_task_is_noticed_once() {
        let wake = WakeFd::new().expect("an eventfd");
        let work = |task: u32| if task == 2 { panic!("this test wants it") } else { task * 10 };
        let mut worker = TaskThread::spawn("dying".to_owned(), wake.clone(), work).expect("a thread");
        assert!(matches!(worker.take(), TaskPoll::Pending));
        worker.start(1);
        wait(&wake);
        assert!(matches!(worker.take(), TaskPoll::Ready(10)));
        worker.start(2);
        // The thread's end is signalled like a reply; its channel is closed before or just after.
        wait(&wake);
        let thread = worker.thread.take().expect("it was spawned");
        assert!(thread.join().is_err());
        assert!(matches!(worker.take(), TaskPoll::Dead));
        assert!(matches!(worker.take(), TaskPoll::Pending), "it was said");
    }

    #[test]
    fn a_worker_that_is_dropped_waits_for_its_thread() {
        let held = std::sync::Arc::new(());
        let work = {
            let held = held.clone();
            move |()| drop(held.clone())
        };
        let wake = WakeFd::new().expect("an eventfd");
        let mut worker = TaskThread::spawn("dropped".to_owned(), wake, work).expect("a thread");
        for _ in 0..1_000 {
            worker.start(());
        }
        drop(worker);
        assert_eq!(std::sync::Arc::strong_count(&held), 1, "what the thread held is free");
    }
}
