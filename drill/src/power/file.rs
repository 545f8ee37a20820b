//! One file's bytes: what reads see, what is on the disk, and what lies between. No I/O.

use std::collections::BTreeMap;

use super::survival::Survival;

/// The unit that a disk writes whole or not at all.
pub const SECTOR: usize = 512;

type Sector = [u8; SECTOR];

#[derive(Clone, Debug, Default)]
pub struct File {
    /// As reads see it.
    live: Vec<u8>,
    /// As it was synced.
    disk: Vec<u8>,
    /// Sectors that were written since they were synced, each with all contents that it had, oldest first. Write-back may
    /// have brought any of them to the disk.
    unsynced: BTreeMap<usize, Vec<Sector>>,
    /// Sizes since the size was synced, oldest first.
    sizes: Vec<usize>,
}

impl File {
    #[must_use]
    pub fn len(&self) -> usize {
        self.live.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    #[must_use]
    pub fn read(&self, offset: usize, len: usize) -> &[u8] {
        let end = self.live.len().min(offset.saturating_add(len));
        self.live.get(offset..end).unwrap_or_default()
    }

    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if end > self.live.len() {
            self.resize(end);
        }
        self.live[offset..end].copy_from_slice(bytes);
        self.note(offset, end);
    }

    pub fn resize(&mut self, len: usize) {
        if len == self.live.len() {
            return;
        }
        let before = self.live.len();
        self.live.resize(len, 0);
        self.sizes.push(len);
        // The end that was cut off reads as zeros should the file grow again.
        self.note(len, before);
    }

    /// Records the new contents of a range's sectors; an empty range has none.
    fn note(&mut self, from: usize, to: usize) {
        for sector in from / SECTOR..to.div_ceil(SECTOR) {
            self.unsynced.entry(sector).or_default().push(sector_of(&self.live, sector));
        }
    }

    /// Brings all of it to the disk.
    pub fn sync(&mut self) {
        self.sync_range(0, usize::MAX);
        self.resize_disk(self.live.len());
        self.sizes.clear();
    }

    /// Brings a range to the disk, and as much of the size as it takes to read it.
    pub fn sync_range(&mut self, from: usize, to: usize) {
        let last = to.div_ceil(SECTOR);
        let sectors: Vec<usize> =
            self.unsynced.range(from / SECTOR..last).map(|(sector, _)| *sector).collect();
        if to.min(self.live.len()) > self.disk.len() {
            self.resize_disk(to.min(self.live.len()));
        }
        for sector in sectors {
            let versions = self.unsynced.remove(&sector).expect("listed above");
            put(&mut self.disk, sector, versions.last().expect("a sector is noted with its content"));
        }
    }

    fn resize_disk(&mut self, len: usize) {
        self.disk.resize(len, 0);
    }

    /// A failed sync ("fsyncgate"): the kernel counts the pages as clean all the same. What did not reach the disk by then
    /// never will, however often it is synced, though reads still see it.
    pub fn lose(&mut self, survival: &mut Survival) {
        for (sector, versions) in std::mem::take(&mut self.unsynced) {
            if survival.keeps() {
                put(&mut self.disk, sector, survival.pick(&versions));
            }
        }
    }

    /// Cuts the power: every unsynced sector has one of the contents that write-back may have left on the disk.
    pub fn cut(&mut self, survival: &mut Survival) {
        if !self.sizes.is_empty() && survival.keeps() {
            self.resize_disk(*survival.pick(&self.sizes));
        }
        self.lose(survival);
        self.sizes.clear();
        self.live.clone_from(&self.disk);
    }
}

fn sector_of(bytes: &[u8], sector: usize) -> Sector {
    let mut copy = [0; SECTOR];
    let from = (sector * SECTOR).min(bytes.len());
    let to = (from + SECTOR).min(bytes.len());
    copy[..to - from].copy_from_slice(&bytes[from..to]);
    copy
}

/// Writes a sector as far as the file reaches.
fn put(bytes: &mut [u8], sector: usize, content: &Sector) {
    let from = (sector * SECTOR).min(bytes.len());
    let to = (from + SECTOR).min(bytes.len());
    bytes[from..to].copy_from_slice(&content[..to - from]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(mut file: File, percent: u64) -> Vec<u8> {
        file.cut(&mut Survival::fixed(percent));
        file.read(0, usize::MAX).to_vec()
    }

    #[test]
    fn what_was_synced_stays_and_the_rest_is_chance() {
        let mut file = File::default();
        file.write(0, &[1; 1024]);
        assert_eq!(file.read(0, 2048), [1; 1024]);
        assert!(cut(file.clone(), 0).is_empty(), "nothing was synced, not even a size");
        assert_eq!(cut(file.clone(), 100), [1; 1024]);
        file.sync();
        file.write(512, &[2; 512]);
        let kept: Vec<u8> = [[1_u8; 512], [2; 512]].concat();
        assert_eq!(cut(file.clone(), 0), [1; 1024]);
        assert_eq!(cut(file.clone(), 100), kept);
        file.sync_range(512, 1024);
        assert_eq!(cut(file, 0), kept);
    }

    #[test]
    fn a_range_that_is_synced_takes_its_size_along_and_no_other_sector() {
        let mut file = File::default();
        file.write(0, &[1; 512]);
        file.write(512, &[2; 512]);
        file.sync_range(512, 1024);
        assert_eq!(cut(file, 0), [[0_u8; 512], [2; 512]].concat());
    }

    #[test]
    fn what_a_failed_sync_lost_is_not_synced_by_the_next() {
        let mut file = File::default();
        file.write(0, &[1; 512]);
        file.sync();
        file.write(0, &[2; 512]);
        file.lose(&mut Survival::fixed(0));
        assert_eq!(file.read(0, 512), [2; 512], "reads still see it");
        file.sync();
        assert_eq!(cut(file, 100), [1; 512]);
    }

    #[test]
    fn a_file_that_was_cut_off_reads_zeros_where_it_grows_again() {
        let mut file = File::default();
        file.write(0, &[7; 1024]);
        file.sync();
        file.resize(100);
        file.resize(1024);
        file.sync();
        let mut expected = vec![7; 100];
        expected.resize(1024, 0);
        assert_eq!(cut(file.clone(), 0), expected);
        assert_eq!(cut(file, 100), expected);
    }
}
