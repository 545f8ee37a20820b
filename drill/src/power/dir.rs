//! One directory's names: what a look-up sees, what is on the disk, and the changes in between. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::luck::Luck;

pub type Ino = u64;
pub type Names = BTreeMap<String, Ino>;

#[derive(Clone, Debug)]
enum Change {
    Add(String, Ino),
    Remove(String),
    Rename(String, String),
}

#[derive(Clone, Debug, Default)]
pub struct Dir {
    live: Names,
    disk: Names,
    /// Since the directory was synced, oldest first.
    changes: Vec<Change>,
}

impl Dir {
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.live
    }

    pub fn add(&mut self, name: &str, ino: Ino) {
        self.change(Change::Add(name.to_owned(), ino));
    }

    pub fn remove(&mut self, name: &str) {
        self.change(Change::Remove(name.to_owned()));
    }

    pub fn rename(&mut self, from: &str, to: &str) {
        self.change(Change::Rename(from.to_owned(), to.to_owned()));
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.changes.push(change);
    }

    pub fn sync(&mut self) {
        self.disk.clone_from(&self.live);
        self.changes.clear();
    }

    /// The power is cut. A change is there only if all earlier ones of the same names are: each name has a history of its
    /// own, and what was done to different names may come back in any combination. Or, as journals do it, everything up to
    /// some change.
    pub fn cut(&mut self, luck: &mut Luck) {
        let mut stuck: BTreeSet<String> = BTreeSet::new();
        for change in std::mem::take(&mut self.changes) {
            let names = change.names();
            let after_a_lost_one = if luck.in_order {
                !stuck.is_empty()
            } else {
                names.iter().any(|name| stuck.contains(*name))
            };
            if after_a_lost_one || !luck.keeps() {
                stuck.extend(names.into_iter().cloned());
            } else {
                change.apply(&mut self.disk);
            }
        }
        self.live.clone_from(&self.disk);
    }
}

impl Change {
    fn names(&self) -> Vec<&String> {
        match self {
            Change::Add(name, _) | Change::Remove(name) => vec![name],
            Change::Rename(from, to) => vec![from, to],
        }
    }

    fn apply(&self, names: &mut Names) {
        match self {
            Change::Add(name, ino) => {
                names.insert(name.clone(), *ino);
            }
            Change::Remove(name) => {
                names.remove(name);
            }
            Change::Rename(from, to) => {
                if let Some(ino) = names.remove(from) {
                    names.insert(to.clone(), ino);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;

    #[test]
    fn names_come_back_in_any_combination_but_each_in_its_order() {
        let mut seen = BTreeSet::new();
        let mut rng = Rng::with_seed(1);
        for _ in 0..2_000 {
            let mut dir = Dir::default();
            dir.add("old", 1);
            dir.sync();
            dir.add("a.new", 2);
            dir.rename("a.new", "a");
            dir.remove("old");
            dir.cut(&mut Luck::of_cut(&mut rng));
            seen.insert(dir.names().keys().cloned().collect::<Vec<_>>().join(" "));
        }
        let expected = ["", "a", "a old", "a.new", "a.new old", "old"];
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_was_synced_stays() {
        let mut dir = Dir::default();
        dir.add("a.new", 2);
        dir.rename("a.new", "a");
        dir.sync();
        dir.cut(&mut Luck::certain(0));
        assert_eq!(dir.names().keys().collect::<Vec<_>>(), ["a"]);
    }
}
