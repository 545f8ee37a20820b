//! The steps of each [`Job`], on any [`Files`]. Their order makes a crash between any two of them harmless: contents are durable
//! before a name points to them, and a name is durable before anything relies on it.

use std::io;

use super::{Job, JobError};
use crate::core_dir::CoreDir;
use crate::error::DiskError;
use crate::files::{File, Files, is_no_space};
use crate::names;

type FailedStep = (&'static str, String, io::Error);

/// Runs the jobs of one core.
#[derive(Debug)]
pub(crate) struct JobRunner<F: Files> {
    core: CoreDir<F>,
    snapshot: Option<F::File>,
}

impl<F: Files> JobRunner<F> {
    pub(crate) fn new(core: CoreDir<F>) -> JobRunner<F> {
        JobRunner { core, snapshot: None }
    }

    /// Runs one job to its end. Opening for log writes is left to the driver.
    pub(crate) fn run(&mut self, job: Job) -> Result<(), JobError> {
        match job {
            Job::OpenSegment { .. } => Ok(()),
            Job::CreateSegment { generation, bytes } => self.create_segment(generation, bytes),
            Job::RecycleSegment { from, to } => self.name(&names::segment(from), &names::segment(to)),
            Job::RemoveSegment { generation } => self.remove(&names::segment(generation)),
            Job::WriteSnapshot { offset, bytes } => self.write_snapshot(offset, &bytes),
            Job::PublishSnapshot { number } => self.publish_snapshot(number),
            Job::RemoveSnapshot { number } => self.remove(&names::snapshot(number)),
        }
    }

    fn create_segment(&self, generation: u64, bytes: u64) -> Result<(), JobError> {
        let new = names::segment_new(generation);
        let zeroed = zeroed_file(&self.core, &new, bytes).map(drop).map_err(job_error);
        let named = zeroed.and_then(|()| self.name(&new, &names::segment(generation)));
        if let Err(JobError::NoSpace(_)) = named {
            // Best effort: a temporary name counts as nothing, and is used again.
            let _ = self.core.files.remove(&self.core.path(&new));
        }
        named
    }

    fn write_snapshot(&mut self, offset: u64, bytes: &[u8]) -> Result<(), JobError> {
        let path = self.core.path(names::SNAPSHOT_NEW);
        let step = |op| move |error| (op, names::SNAPSHOT_NEW.to_owned(), error);
        let mut write = || -> Result<(), FailedStep> {
            if offset == 0 {
                self.snapshot = Some(self.core.files.create(&path).map_err(step("create"))?);
            }
            let file = self.snapshot.as_ref().expect("the first part made the file");
            file.write_at(bytes, offset).map_err(step("write"))?;
            // Part by part, so that no sync is long.
            file.sync().map_err(step("sync"))
        };
        let result = write();
        result.map_err(|error| {
            // After a failed sync nobody knows what the file holds, so it is removed and never tried again.
            self.drop_snapshot();
            match job_error(error) {
                JobError::Fatal(error) => JobError::Abandoned(error),
                other => other,
            }
        })
    }

    fn publish_snapshot(&mut self, number: u64) -> Result<(), JobError> {
        self.snapshot = None;
        let published = self.name(names::SNAPSHOT_NEW, &names::snapshot(number));
        if let Err(JobError::NoSpace(_)) = published {
            self.drop_snapshot();
        }
        published
    }

    fn drop_snapshot(&mut self) {
        self.snapshot = None;
        let _ = self.core.files.remove(&self.core.path(names::SNAPSHOT_NEW));
    }

    /// Renames, and makes it durable.
    fn name(&self, from: &str, to: &str) -> Result<(), JobError> {
        let files = &self.core.files;
        let renamed = files.rename(&self.core.path(from), &self.core.path(to));
        renamed.map_err(|error| job_error(("rename", from.to_owned(), error)))?;
        self.sync_dir()
    }

    /// Removes, and makes it durable before the next is removed, so that no crash leaves a gap between generations.
    fn remove(&self, name: &str) -> Result<(), JobError> {
        let removed = self.core.files.remove(&self.core.path(name));
        removed.map_err(|error| JobError::Fatal(DiskError::new("remove", name, error)))?;
        self.sync_dir()
    }

    fn sync_dir(&self) -> Result<(), JobError> {
        let synced = self.core.files.sync_dir(&self.core.dir);
        // Full disk or not: names have changed, and nobody knows whether durably.
        synced.map_err(|error| JobError::Fatal(DiskError::new("sync directory", &*self.core.dir, error)))
    }
}

/// Makes a file of zeros and syncs it.
pub(crate) fn zeroed_file<F: Files>(
    core: &CoreDir<F>,
    name: &str,
    bytes: u64,
) -> Result<F::File, FailedStep> {
    let step = |op| move |error| (op, name.to_owned(), error);
    let file = core.files.create(&core.path(name)).map_err(step("create"))?;
    file.allocate(bytes).map_err(step("allocate"))?;
    file.fill(0, bytes).map_err(step("write"))?;
    file.sync().map_err(step("sync"))?;
    Ok(file)
}

fn job_error((op, file, error): FailedStep) -> JobError {
    let no_space = is_no_space(&error);
    let error = DiskError::new(op, file, error);
    if no_space { JobError::NoSpace(error) } else { JobError::Fatal(error) }
}
