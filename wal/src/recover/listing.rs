//! The files of one core.

use crate::core_dir::CoreDir;
use crate::error::{During, OpenError};
use crate::files::Files;
use crate::names;

/// The files of one core by kind. Others are left alone.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Generations, ascending, without a gap.
    pub(crate) segments: Vec<u64>,
    /// Numbers, ascending.
    pub(crate) snapshots: Vec<u64>,
    /// Temporary names: files that were never finished and count as nothing.
    pub(crate) temporary: Vec<String>,
}

impl Listing {
    pub(crate) fn read<F: Files>(core: &CoreDir<F>) -> Result<Listing, OpenError> {
        let name = core.files.display(&core.dir);
        let Some(found) = core.files.list(&core.dir).during("list", &name)? else {
            let reason = "the superblock counts this core".to_owned();
            return Err(OpenError::Missing { file: name, reason });
        };
        let mut listing = Listing::default();
        for name in found {
            if let Some(generation) = names::parse_segment(&name) {
                listing.segments.push(generation);
            } else if let Some(number) = names::parse_snapshot(&name) {
                listing.snapshots.push(number);
            } else if names::is_temporary(&name) {
                listing.temporary.push(name);
            }
        }
        listing.segments.sort_unstable();
        listing.snapshots.sort_unstable();
        listing.check(core)?;
        Ok(listing)
    }

    fn check<F: Files>(&self, core: &CoreDir<F>) -> Result<(), OpenError> {
        let missing = |file: String, reason: &str| {
            let file = core.files.display(&core.path(&file));
            Err(OpenError::Missing { file, reason: reason.to_owned() })
        };
        if self.snapshots.is_empty() {
            return missing(
                names::snapshot(0),
                "every core has a snapshot from the beginning of its epoch on",
            );
        }
        let Some(first) = self.segments.first() else {
            return missing(
                names::segment(1),
                "every core has a log segment from the beginning of its epoch on",
            );
        };
        for (generation, found) in (*first..).zip(&self.segments) {
            if generation != *found {
                return missing(names::segment(generation), "the log has segments before and after it");
            }
        }
        Ok(())
    }
}
