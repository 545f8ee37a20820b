//! The room on the disk: what the log may still take of its budget is not the read model's.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bridge::read_model::Room;

use super::posts::Posts;

/// How often the file system is asked.
const INTERVAL: Duration = Duration::from_secs(1);

/// Says whether more is free than the logs may still take, where both are on one file system.
pub(super) fn for_the_read_model(path: &Path, posts: Arc<Posts>, budget_bytes: u64) -> Room {
    let path = path.to_owned();
    let mut asked: Option<(Instant, Result<(), String>)> = None;
    Box::new(move || {
        if let Some((at, answer)) = &asked
            && at.elapsed() < INTERVAL
        {
            return answer.clone();
        }
        let answer = check(&path, &posts, budget_bytes);
        asked = Some((Instant::now(), answer.clone()));
        answer
    })
}

fn check(path: &Path, posts: &Posts, budget_bytes: u64) -> Result<(), String> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
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
