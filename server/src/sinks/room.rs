//! The room on the disk: what the log may still take of its budget is not the read model's.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bridge::read_model::Room;

use super::posts::Posts;

/// The interval at which the file system is asked.
const INTERVAL: Duration = Duration::from_secs(1);

/// Says whether more is free than the logs may still take, where both are on one file system.
pub(super) fn for_the_read_model(path: &Path, data_dir: &Path, posts: Arc<Posts>, budget_bytes: u64) -> Room {
    let (path, data_dir) = (path.to_owned(), data_dir.to_owned());
    let mut asked: Option<(Instant, Result<(), String>)> = None;
    Box::new(move || {
        if let Some((at, answer)) = &asked
            && at.elapsed() < INTERVAL
        {
            return answer.clone();
        }
        let answer = check(&path, &data_dir, &posts, budget_bytes);
        asked = Some((Instant::now(), answer.clone()));
        answer
    })
}

fn check(path: &Path, data_dir: &Path, posts: &Posts, budget_bytes: u64) -> Result<(), String> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let device = |path: &Path| std::fs::metadata(path).ok().map(|file| file.dev());
    if device(dir) != device(data_dir) {
        return Ok(());
    }
    let Ok(disk) = rustix::fs::statvfs(dir) else { return Ok(()) };
    let free_bytes = disk.f_bavail * disk.f_frsize;
    let kept_bytes: u64 = posts.sizes().map(|size| size.kept_bytes).sum();
    let reserved_bytes = budget_bytes.saturating_sub(kept_bytes);
    if free_bytes < reserved_bytes {
        return Err(format!(
            "{free_bytes} bytes are free, and the log may still take {reserved_bytes} of its budget: free some, or lower --log-budget-bytes"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use engine::ids::Time;
    use wal::Lsn;
    use wal::follow::Reach;

    use super::*;
    use crate::sinks::LogSize;

    #[test]
    fn what_the_log_may_still_take_is_not_for_others() {
        let temp = tempfile::tempdir().expect("a directory");
        let path = temp.path().join("read-model.db");
        let posts = Posts::new([(Reach::NOTHING, Lsn::MAX), (Reach::NOTHING, Lsn::MAX)]);
        let more_than_any_disk = 1 << 60;
        let dir = temp.path();
        assert_eq!(check(&path, dir, &posts, 0), Ok(()));
        let full = check(&path, dir, &posts, more_than_any_disk);
        assert!(full.is_err_and(|text| text.contains("--log-budget-bytes")));
        // Another file system is not the log's: `/proc` is one everywhere.
        assert_eq!(check(&path, Path::new("/proc"), &posts, more_than_any_disk), Ok(()));
        // What it has already is not what it may still take.
        let size = LogSize { kept_bytes: more_than_any_disk / 2, ..LogSize::default() };
        posts.publish(0, Time(0), Reach::NOTHING, size);
        posts.publish(1, Time(0), Reach::NOTHING, size);
        assert_eq!(check(&path, dir, &posts, more_than_any_disk), Ok(()));
        let nowhere = Path::new("/no/such/dir/read-model.db");
        assert_eq!(check(nowhere, dir, &posts, u64::MAX), Ok(()), "opening it says more");
    }
}
